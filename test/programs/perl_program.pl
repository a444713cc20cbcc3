# A perl with closures, a pending alarm, open files, a pattern match in progress and a random state.
use strict;
use warnings;

$| = 1;

sub fail { print "FAIL: @_\n"; exit 1 }

sub expect {
  my ($what, $expected, $actual) = @_;
  fail("$what: expected '$expected', got '$actual'") if $expected ne $actual;
}

sub pause { select(undef, undef, undef, 0.005) }

sub make_counter {
  my $count = shift;
  return { next => sub { return $count++ }, add => sub { $count += shift } };
}

my ($one, $other) = (make_counter(10), make_counter(100));
$one->{next}->() for 1 .. 5;
$other->{add}->(7);

srand(4242);
my @drawn = map { rand } 1 .. 1000;

my %tree = (list => [1 .. 100], text => "\x{263a}" x 50, deep => { er => { est => [qw(a b c)] } });
$tree{self} = \%tree;
my $text = "a1 b22 c333 d4444";
$text =~ /([a-z])(\d+)/g or fail('no match');
my $first_end = pos $text;

open(my $out, '>', 'lines') or fail("lines: $!");
print $out "line $_\n" for 0 .. 9999;
close $out;
open(my $in, '<', 'lines') or fail("lines: $!");
scalar <$in> for 1 .. 777;
open(my $late, '>', 'written') or fail("written: $!");
print $late "not flushed yet\n";

my $alarms = 0;
my $hups = 0;
local $SIG{ALRM} = sub { ++$alarms };
local $SIG{HUP} = sub { ++$hups };
local $SIG{USR2} = 'IGNORE';
alarm 4;

print "ready\n";
pause() until -e 'go';

expect('alarms so far, of one in four seconds', 1, $alarms <= 1 ? 1 : 0);
my $deadline = time + 20;
pause() until $alarms || time > $deadline;
expect('alarms', 1, $alarms);
kill 'HUP', $$;
kill 'USR2', $$;
pause() until $hups || time > $deadline;
expect('hangups', 1, $hups);
expect('a closure', 15, $one->{next}->());
expect('another', 107, $other->{next}->());
my @more = map { rand } 1 .. 1000;
srand(4242);
expect('the numbers drawn', "@drawn", join ' ', map { rand } 1 .. 1000);
expect('the random state', join(' ', map { rand } 1 .. 1000), "@more");
expect('a list', 5050, eval { my $sum = 0; $sum += $_ for @{ $tree{self}{self}{list} }; $sum });
expect('characters', 50, length $tree{text});
expect('a deep one', 'c', $tree{deep}{er}{est}[-1]);
expect('the position', $first_end, pos $text);
$text =~ /([a-z])(\d+)/g or fail('no second match');
expect('the second match', 'b22', "$1$2");
expect('the next line', "line 777\n", scalar <$in>);
my $count = () = <$in>;
expect('the lines that are left', 9222, $count);
print $late "flushed now\n";
close $late;
open(my $check, '<', 'written') or fail("written: $!");
expect('what was written', "not flushed yet\nflushed now\n", join '', <$check>);
print "PASS\n";
