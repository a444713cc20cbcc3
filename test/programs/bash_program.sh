# A bash that waits for a line from the fifo `go`: in read(2), or with "open" in open(2).
fail() {
  echo "FAIL: $*"
  exit 1
}
expect() { [ "$2" = "$3" ] || fail "$1: expected '$2', got '$3'"; }

declare -A colours=([apple]=green [plum]='dark blue' [$'odd\nkey']=x)
list=(one 'two words' '' four)
declare -i number=41
readonly fixed=constant
export EXPORTED=yes
twice() { echo "$1$1"; }
trap 'trapped=$((${trapped:-0} + 1))' USR1
kill -USR1 $$
expect trap 1 "$trapped"

RANDOM=4242
for ((i = 0; i < 5; ++i)); do before+="$RANDOM "; done
for ((n = 0; n < 5; ++n)); do printf 'line %d\n' "$n"; done >lines
exec 4<lines 5>>written
read -r -u 4 line
expect 'the first line' 'line 0' "$line"
echo before >&5
set -- 'first argument' second
cd /usr
mode=$MODE

here=$OLDPWD
echo ready
if [ "$mode" = open ]; then
  read -r event <"$here/go"
else
  exec 3<>"$here/go"
  read -r event <&3
fi

case $event in
  restored | resumed) ;;
  *) fail "the event is '$event'" ;;
esac
expect 'an association' 'dark blue' "${colours[plum]}"
expect 'an odd key' x "${colours[$'odd\nkey']}"
expect 'the list' '4 one|two words||four' "${#list[@]} $(IFS='|' && echo "${list[*]}")"
number+=1
expect 'a number' 42 "$number"
(fixed=changed) 2>/dev/null && fail 'a readonly variable was changed'
expect 'an exported variable' yes "$(printenv EXPORTED)"
expect 'a function' abab "$(twice ab)"
kill -USR1 $$
expect 'the trap' 2 "$trapped"
for ((i = 0; i < 5; ++i)); do after+="$RANDOM "; done
RANDOM=4242
for ((i = 0; i < 5; ++i)); do again+="$RANDOM "; done
expect 'the numbers drawn' "$before" "$again"
again=
for ((i = 0; i < 5; ++i)); do again+="$RANDOM "; done
expect 'the random state' "$again" "$after"
read -r -u 4 line
expect 'the next line' 'line 1' "$line"
echo after >&5
expect 'what was written' 'before after' "$(echo $(cat "$here/written"))"
expect 'the arguments' '2 first argument' "$# $1"
expect 'the directory' '/usr' "$(pwd -P)"
echo PASS
