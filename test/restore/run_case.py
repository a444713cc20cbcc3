#!/usr/bin/python3
"""Runs one target program through a dump, and asks it whether its state is what it was.

  run_case.py [--dumper PROGRAM|stock] --mode MODE TARGET

restore:       dumped (and killed), restored by stock criu, checked.
leave-running: dumped with -R, compared from outside by /proc, checked.
snapshot:      dumped with -R from a copy, or with --copies pre-copy beforehand, killed while it runs
               on, restored as it was, checked.
snapshot-running: leave-running, in the same ways.
moved:         dumped with -R, and while it runs on and its images are built all its files are taken
               away; killed, restored where they are put back, checked.
twice:         dumped and restored; what was restored, which lives in a time namespace of its own
               from then on, is dumped and restored again, and checked.

Exit status: 0 passed, 1 failed (with all logs), 77 skipped (with the target's reason), 124 timeout.
"""

import argparse
import glob
import os
import shutil
import signal
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import cgroups
import dumper as dumpers
import hugepages
import proc_facts
import sandbox
import target_process

SKIPPED = 77


class Untold(Exception):
    """What the case is about is not on this machine."""


class Case:
    def __init__(self, options, criu, directory):
        self._options = options
        self._directory = directory
        self._rounds = []
        work_dir = os.path.join(directory, "work")
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
            if self._options.mode in ("leave-running", "snapshot-running"):
                self._dump_beside()
            elif self._options.mode == "moved":
                self._dump_moved()
            else:
                self._dump_and_restore(rounds=2 if self._options.mode == "twice" else 1)
            self._target.check_verdict(self._deadline)
        except Untold as reason:
            print(reason)
            return SKIPPED
        except (target_process.TargetFailure, dumpers.DumpFailure) as failure:
            print(f"{failure}\n--- target printed:\n{self._target.status()}")
            for images in self._rounds:
                print(dumpers.log_tails(images))
            return 1
        return 0

    def _dump_moved(self):
        images = self._new_images()
        pids = self._target.tree()
        self._dumper.dump(self._target.pid, images, self._deadline, leave_running=True,
                          options=self._options.with_options, meanwhile=self._target.move_files)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        self._target.wait_gone(pids, self._deadline)
        self._target.put_back_files()
        self._dumper.restore(images, self._deadline, options=self._options.with_options)
        self._let_go("restored")

    def _new_images(self):
        images = os.path.join(self._directory, f"images-{len(self._rounds) + 1}")
        os.mkdir(images)
        self._rounds.append(images)
        return images

    def _dump_and_restore(self, rounds):
        for _ in range(rounds):
            images = self._new_images()
            pids = self._target.tree()
            more = self._options.with_options
            if self._options.mode == "snapshot":
                self._dump_while_running(images, more)
                for pid in pids:
                    os.kill(pid, signal.SIGKILL)
            else:
                self._dumper.dump(self._target.pid, images, self._deadline, options=more)
            self._target.wait_gone(pids, self._deadline)
            self._expect_little(images)
            if self._options.remove_cgroups:
                cgroups.remove(self._directory)
            self._dumper.restore(images, self._deadline, options=more)
            if self._options.stopped:
                self._target.wait_state("T", self._deadline)
        if rounds > 1:
            self._expect_other_clocks()
        self._let_go("restored")

    def _expect_little(self, images):
        """Memory takes no more than it is said to."""
        sizes = [os.stat(path).st_size
                 for path in glob.glob(os.path.join(images, "**/pages-*.img"), recursive=True)]
        most = self._options.most_memory
        if most is not None and not 0 < sum(sizes) <= most << 10:
            raise target_process.TargetFailure(f"{sum(sizes) >> 10} KiB of memory were written")

    def _dump_while_running(self, images, options):
        beforehand = self._options.copies == "pre-copy"
        self._dumper.dump(self._target.pid, images, self._deadline, leave_running=True,
                          options=[*options, f"--snapshot={self._options.copies}"],
                          stall="catch-up" if beforehand else None)
        with open(os.path.join(images, "dump.log"), errors="replace") as log:
            text = log.read()
        if "this kernel does not track writes" in text:
            raise Untold("this kernel does not track writes")
        if (" pages beforehand" if beforehand else " pages from copies") not in text:
            raise target_process.TargetFailure("nothing was written while it ran")

    def _expect_other_clocks(self):
        """Each round but the first was of a task in a time namespace of its own."""
        for images in self._rounds[1:]:
            names = [name for name in os.listdir(images) if name.startswith("timens-")]
            if names in ([], ["timens-0.img"]):
                raise target_process.TargetFailure(f"a time namespace was missed: {names}")

    def _dump_beside(self):
        still = {
            "maps": not self._options.changing_maps,
            "below": not self._options.changing_tree,
        }
        before = proc_facts.snapshot(self._target.pid, **still)
        images = self._new_images()
        if self._options.mode == "snapshot-running":
            self._dump_while_running(images, self._options.with_options)
        else:
            self._dumper.dump(self._target.pid, images, self._deadline, leave_running=True,
                              options=self._options.with_options)
        after = proc_facts.snapshot(self._target.pid, **still)
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
    parser.add_argument("--mode", required=True, 
                        choices=["restore", "leave-running", "snapshot", "snapshot-running",
                                 "moved", "twice"])
    parser.add_argument("--stopped", action="store_true", help="the target stops itself")
    parser.add_argument("--changing-maps", action="store_true", help="it maps and unmaps for ever")
    parser.add_argument("--changing-tree", action="store_true", help="processes come and go")
    parser.add_argument("--with", dest="with_options", action="append", default=[],
                        help="an option of the dump, and of the restore")
    parser.add_argument("--remove-cgroups", action="store_true",
                        help="between dump and restore, those that the target has made")
    parser.add_argument("--hugepages", type=int, default=0, help="that the target uses")
    parser.add_argument("--copies", default="cow", choices=["auto", "cow", "pre-copy"],
                        help="what --snapshot is given")
    parser.add_argument("--most-memory", type=int, help="how many KiB of it the images may have")
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
        with hugepages.reserved(options.hugepages) as enough:
            if not enough:
                print("too few huge pages can be set aside")
                return SKIPPED
            run = lambda: Case(options, criu, directory).run()
            return sandbox.run_inside(run, options.timeout + 5)
    finally:
        cgroups.remove(directory)
        if not options.keep:
            shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
