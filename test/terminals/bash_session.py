"""What is typed to an interactive bash before a dump and after it, and what comes of it."""

import os
import time

import target_process

# Two jobs, one of them a pipeline, that write a number, which grows, fifty times a second at most.
# They start no processes meanwhile.
_JOBS = """\
behind() { while read -t 0.02 <> never || true; do echo $((++n)) > behind; done; }
tock() { while read -t 0.02 <> never || true; do echo tock; done; }
count() { while read line; do echo $((++n)) $line > counted; done; }
tocks() { tock | sed -u s/tock/tick/ | count; }
greet() { echo hello $1 > greeted; }
answer=41; PS1=prompt-
"""


class BashSession:
    def __init__(self, work_dir, deadline):
        self._work = work_dir
        self._deadline = deadline

    def prepare(self, shell):
        """It has two jobs in the background, and waits at its prompt."""
        os.mkfifo(os.path.join(self._work, "never"))
        with open(os.path.join(self._work, "jobs.sh"), "w") as jobs:
            jobs.write(_JOBS)
        self._say(shell, ". ./jobs.sh\nbehind &\ntocks &\necho > asked\n")
        self._wait_for("asked", "\n")
        self._wait_grows("behind")
        self._wait_grows("counted")

    def check(self, shell):
        """Both go on. One is brought to the foreground, and ended from there; and bash goes on."""
        self._wait_grows("behind")
        self._wait_grows("counted")
        self._say(shell, "jobs > listed; fg %2\n")
        self._wait_for("listed", "[")
        self._wait(lambda: shell.hear().count("tocks\r\n") > 0, "fg tells of no job")
        self._wait_grows("counted")
        self._say(shell, "\003")
        self._say(shell, "greet world; echo $((answer + 1)) > answered\n")
        self._wait_for("answered", "42\n")
        self._expect("greeted", "hello world\n")
        if self._read("listed").count(" Running ") != 2:
            raise target_process.TargetFailure(f"jobs tells of {self._read('listed')!r}")
        stopped = self._read("counted")
        self._say(shell, "kill %1; wait; echo $(ps -o tpgid= -p $$) $$ > ended\n")
        self._wait(lambda: self._read("ended").endswith("\n"), "it does not end")
        group, pid = self._read("ended").split()
        if group != pid:
            raise target_process.TargetFailure(f"group {group} is in front, not bash's, {pid}")
        self._expect("counted", stopped)

    def _expect(self, name, text):
        if self._read(name) != text:
            raise target_process.TargetFailure(f"{name} is {self._read(name)!r}, not {text!r}")

    def _say(self, shell, text):
        shell.type(text)
        shell.hear()

    def _read(self, name):
        try:
            with open(os.path.join(self._work, name)) as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def _wait_grows(self, name):
        before = self._read(name)
        self._wait(lambda: self._read(name) not in (before, ""), f"{name} stays {before!r}")

    def _wait_for(self, name, start):
        self._wait(lambda: self._read(name).startswith(start), f"{name} is not {start!r}")

    def _wait(self, condition, failure):
        while not condition():
            if time.monotonic() > self._deadline:
                raise target_process.TargetFailure(failure)
            time.sleep(0.01)
