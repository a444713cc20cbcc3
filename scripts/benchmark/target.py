"""What is dumped: a living test/bench/bench_target."""

import os
import signal
import subprocess
import time
from dataclasses import dataclass


class BenchFailure(Exception):
    pass


# Threads of the target that run for themselves.
WRITER = "writer\n"
OWN_THREADS = ("measure\n", WRITER)
QUIET = 0.5  # seconds, in which it is seen what a round of a writer takes while nothing is dumped
NANOSECONDS_A_TICK = 10**9 // os.sysconf("SC_CLK_TCK")


def nanoseconds_of_children(pid):
    """Of those that it has waited for (copies of it that a dumper made), as stat tells it."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[13]) + int(fields[14])) * NANOSECONDS_A_TICK


@dataclass(frozen=True)
class Seen:
    """What a target tells of itself since reset(), in seconds. Without a writer the others are 0."""

    pause: float
    writer_gap: float  # the longest, from the beginning of one round to that of the next
    writer_ran: float
    rounds: int


class Target:
    """A bench_target in a session of its own; a scope that ends with it."""

    def __init__(self, program, arguments, directory, patience):
        self._program = program
        self._arguments = arguments
        self._directory = directory
        self._patience = patience  # seconds that an answer may take
        self._output = os.path.join(directory, "output")
        self._seen = 0

    def __enter__(self):
        with open(self._output, "wb") as output:
            self._process = subprocess.Popen(
                [self._program, *self._arguments],
                cwd=self._directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.pid = self._process.pid
        try:
            self._next_line("ready")
            self._writer = self._find_writer()
            self.writes = self._writer is not None
            if self.writes:
                self.quiet = self.seen_for(QUIET)
        except BenchFailure:
            self.__exit__()
            raise
        return self

    def __exit__(self, *unused):
        if self._process.returncode is not None:
            return
        # Its children are of its session; who has just been killed by a dump is a zombie still.
        os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()

    def wait_for_its_death(self):
        """Seconds that children ran which it has waited for. Its own may be its death alone."""
        deadline = time.monotonic() + self._patience
        dead = os.WEXITED | os.WNOHANG | os.WNOWAIT
        while os.waitid(os.P_PID, self.pid, dead) is None:
            if time.monotonic() > deadline:
                raise BenchFailure(f"{self._arguments}: it should be dead")
            time.sleep(0.001)
        nanoseconds = nanoseconds_of_children(self.pid)
        self._process.wait()
        return nanoseconds / 1e9

    def reset(self):
        os.kill(self.pid, signal.SIGUSR1)
        self._next_line("reset")
        self._writer_had_run = self._nanoseconds_of_writer()

    def seen(self):
        os.kill(self.pid, signal.SIGUSR2)
        pause, gap, rounds = (int(word) for word in self._next_line("gap ").split()[1:])
        ran = self._nanoseconds_of_writer() - self._writer_had_run
        return Seen(pause / 1e9, gap / 1e9, ran / 1e9, rounds)

    def seen_for(self, seconds):
        self.reset()
        time.sleep(seconds)
        return self.seen()

    def extra_of_writer(self, seen):
        """Seconds that its writer ran longer than for so many rounds while nothing is dumped: for page
        faults, as for memory that is copied, or watched, and for what it is made to do."""
        return seen.writer_ran - seen.rounds * self.quiet.writer_ran / self.quiet.rounds

    def _find_writer(self):
        for tid in os.listdir(f"/proc/{self.pid}/task"):
            with open(f"/proc/{self.pid}/task/{tid}/comm") as comm:
                if comm.read() == WRITER:
                    return tid
        return None

    def _nanoseconds_of_writer(self):
        if not self.writes:
            return 0
        with open(f"/proc/{self.pid}/task/{self._writer}/schedstat") as schedstat:
            return int(schedstat.read().split()[0])

    def cpu(self):
        """Seconds that its threads and those of its children have run, OWN_THREADS aside."""
        nanoseconds = 0
        pids = [self.pid]
        for pid in pids:
            nanoseconds += nanoseconds_of_children(pid)
            for tid in os.listdir(f"/proc/{pid}/task"):
                task = f"/proc/{pid}/task/{tid}"
                with open(f"{task}/children") as children:
                    pids += [int(child) for child in children.read().split()]
                with open(f"{task}/comm") as comm, open(f"{task}/schedstat") as schedstat:
                    if comm.read() not in OWN_THREADS:
                        nanoseconds += int(schedstat.read().split()[0])
        return nanoseconds / 1e9

    def _next_line(self, start):
        deadline = time.monotonic() + self._patience
        while True:
            with open(self._output) as output:
                output.seek(self._seen)
                line = output.readline()
            if line.endswith("\n"):
                break
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise BenchFailure(f"{self._arguments}: no \"{start}\" from the target ({self._process.poll()})")
            time.sleep(0.001)
        self._seen += len(line)
        if not line.startswith(start):
            raise BenchFailure(f"{self._arguments}: the target said {line.strip()}")
        return line
