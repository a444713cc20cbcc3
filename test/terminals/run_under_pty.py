#!/usr/bin/python3
"""Runs one program on a terminal that is no part of its dump, and asks it for its state.

  run_under_pty.py --dumper PROGRAM|stock --mode restore|leave-running [--external] [--bash] COMMAND

The program speaks the protocol of test/targets/target.h. It is a job of a shell (--shell-job), and
so is the restore, of another one on another terminal; with --external it leads the session by
itself, and the restore is handed a terminal. With --bash it is an interactive bash, which is typed
to.

Exit status: 0 passed, 1 failed (with all logs), 77 skipped, 124 timeout.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../restore")]
import bash_session
import dumper as dumpers
import pty_shell
import sandbox
import target_process

SKIPPED = 77
HANDED = 9  # the descriptor by which a restore gets a terminal


class Job(target_process.Target):
    """A command that a shell has started."""

    def __init__(self, reaper, command, work_dir, leads, tells):
        super().__init__(reaper, command[0], work_dir)
        self._command = command
        self._work = work_dir
        self._leads = leads
        self._tells = tells  # whether its stdout is the status file, not the terminal
        self.shell = pty_shell.PtyShell()

    def start(self):
        self.pid = self.shell.run(
            self._command,
            cwd=self._work,
            status=os.path.join(self._work, "status") if self._tells else None,
            env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "TERM": "dumb", "HOME": self._work},
            leads=self._leads,
        )

    def check_verdict(self, deadline):
        """Of who is the shell's child still, or who has become the reaper's by a restore."""
        code = None
        while code is None and time.monotonic() < deadline:
            code = self.shell.code_of(self.pid, time.monotonic() + 0.01)
            if code is None:
                code = self._reaper.wait(self.pid, time.monotonic() + 0.01)
        if code != 0 or self.status().splitlines()[-1:] != ["PASS"]:
            raise target_process.TargetFailure(f"the target ended with {code}")


class Case:
    def __init__(self, options, criu, directory):
        self._options = options
        self._criu = criu
        self._images = os.path.join(directory, "images")
        work_dir = os.path.join(directory, "work")
        os.mkdir(self._images)
        os.mkdir(work_dir)
        self._deadline = time.monotonic() + options.timeout
        self._reaper = sandbox.Reaper()
        self._job = Job(
            self._reaper, options.command, work_dir, options.external, not options.bash
        )
        self._dumper = dumpers.Dumper(self._reaper, options.dumper, criu)
        self._bash = bash_session.BashSession(work_dir, self._deadline) if options.bash else None
        self._dump_options = (
            ["--external", self._job.shell.external] if options.external else ["--shell-job"]
        )

    def run(self):
        try:
            self._job.start()
            if self._bash:
                self._bash.prepare(self._job.shell)
            else:
                self._job.wait_ready(self._deadline)
            running = self._options.mode == "leave-running"
            pids = self._job.tree()
            self._dumper.dump(
                self._job.pid, self._images, self._deadline, running, self._dump_options
            )
            if not running:
                self._restore(pids)
            self._check("resumed" if running else "restored")
        except (target_process.TargetFailure, dumpers.DumpFailure) as failure:
            print(f"{failure}\n--- the target printed:\n{self._job.status()}")
            print(f"--- and to its terminal:\n{self._job.shell.hear()}")
            print(dumpers.log_tails(self._images))
            return 1
        return 0

    def _restore(self, pids):
        self._job.wait_gone(pids, self._deadline)
        self._job.shell.leave()
        shell = pty_shell.PtyShell(rows=10, columns=20)
        argv = [self._criu, "restore", "-d", "-D", self._images, "-v4", "-o", "restore.log"]
        if self._options.external:
            argv += ["--inherit-fd", f"fd[{HANDED}]:{self._job.shell.external}"]
        else:
            argv.append("--shell-job")
        pid = shell.run(argv, handed=HANDED if self._options.external else None)
        code = shell.code_of(pid, self._deadline)
        self._job.shell = shell
        if code != 0:
            raise dumpers.DumpFailure(f"{' '.join(argv)}: ended with {code}")

    def _check(self, event):
        if self._bash:
            self._bash.check(self._job.shell)
            return
        self._job.go(event)
        self._job.check_verdict(self._deadline)
        if "still on" not in self._job.shell.hear():
            raise target_process.TargetFailure("nothing came to the terminal")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dumper", default="stock", help="dumpctl's path, or stock")
    parser.add_argument("--mode", required=True, choices=["restore", "leave-running"])
    parser.add_argument("--external", action="store_true", help="it leads the session")
    parser.add_argument("--bash", action="store_true", help="it is an interactive bash")
    parser.add_argument("--timeout", type=float, default=30)
    parser.add_argument("--keep", help="leave images and logs in this directory")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    if os.geteuid() != 0:
        print("SKIP: a private pid namespace takes root")
        return SKIPPED
    criu = dumpers.stock()
    directory = options.keep or tempfile.mkdtemp(prefix="dumpctl-terminal-")
    os.makedirs(directory, exist_ok=True)
    try:
        return sandbox.run_inside(lambda: Case(options, criu, directory).run(), options.timeout + 5)
    finally:
        if not options.keep:
            shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
