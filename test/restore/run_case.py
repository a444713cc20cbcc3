#!/usr/bin/python3
"""Runs one target program through a dump, and asks it whether its state is what it was.

  run_case.py [--dumper PROGRAM|stock] --mode restore|leave-running TARGET

restore:       dumped (and killed), restored by stock criu, checked.
leave-running: dumped with -R, compared from outside by /proc, checked.

Exit status: 0 passed, 1 failed (with all logs), 77 skipped (with the target's reason), 124 timeout.
"""

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import dumper as dumpers
import proc_facts
import sandbox
import target_process

SKIPPED = 77


class Case:
    def __init__(self, options, criu, directory):
        self._options = options
        self._images = os.path.join(directory, "images")
        work_dir = os.path.join(directory, "work")
        os.mkdir(self._images)
        os.mkdir(work_dir)
        reaper = sandbox.Reaper()
        self._reaper = reaper
        self._target = target_process.Target(reaper, options.target, work_dir)
        self._dumper = dumpers.Dumper(reaper, options.dumper, criu)
        self._deadline = time.monotonic() + options.timeout

    def run(self):
        try:
            self._target.start()
            reason = self._target.wait_ready(self._deadline)
            if reason is not None:
                print(reason)
                return SKIPPED
            if self._options.stopped:
                self._target.wait_state("T", self._deadline)
            if self._options.mode == "restore":
                self._dump_and_restore()
            else:
                self._dump_beside()
            self._target.check_verdict(self._deadline)
        except (target_process.TargetFailure, dumpers.DumpFailure) as failure:
            print(f"{failure}\n--- target printed:\n{self._target.status()}")
            print(dumpers.log_tails(self._images))
            return 1
        return 0

    def _dump_and_restore(self):
        self._dumper.dump(self._target.pid, self._images, self._deadline)
        self._target.wait_gone(self._deadline)
        self._dumper.restore(self._images, self._deadline)
        self._let_go("restored")

    def _dump_beside(self):
        maps = not self._options.changing_maps
        before = proc_facts.snapshot(self._target.pid, maps)
        self._dumper.dump(self._target.pid, self._images, self._deadline, leave_running=True)
        after = proc_facts.snapshot(self._target.pid, maps)
        changed = proc_facts.differences(before, after)
        if changed:
            raise target_process.TargetFailure("the dump changed:\n" + "\n".join(changed))
        self._let_go("resumed")

    def _let_go(self, event):
        if self._options.stopped:
            self._target.wait_state("T", self._deadline)
        self._target.go(event)
        if self._options.stopped:
            os.kill(self._target.pid, signal.SIGCONT)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target")
    parser.add_argument("--dumper", default="stock", help="dumpctl's path, or stock")
    parser.add_argument("--mode", required=True, choices=["restore", "leave-running"])
    parser.add_argument("--stopped", action="store_true", help="the target stops itself")
    parser.add_argument("--changing-maps", action="store_true", help="it maps and unmaps for ever")
    parser.add_argument("--suite", default="trixie", help="whose criu restores")
    parser.add_argument("--timeout", type=float, default=30)
    parser.add_argument("--keep", help="leave images and logs in this directory")
    options = parser.parse_args()
    if os.geteuid() != 0:
        print("a private pid namespace takes root")
        return SKIPPED
    options.target = os.path.abspath(options.target)
    criu = dumpers.stock(suite=options.suite)
    # A name without anything that would have to be escaped in maps.
    directory = options.keep or tempfile.mkdtemp(prefix="dumpctl-case-")
    os.makedirs(directory, exist_ok=True)
    os.chmod(directory, 0o755)
    try:
        # Time enough for the case to see its own deadline first, and to print its logs.
        return sandbox.run_inside(lambda: Case(options, criu, directory).run(), options.timeout + 5)
    finally:
        if not options.keep:
            shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
