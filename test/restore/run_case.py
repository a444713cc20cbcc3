#!/usr/bin/python3
"""Runs one target program through a dump, and asks it whether its state is what it was.

  run_case.py [--dumper PROGRAM|stock] --mode MODE TARGET

restore:       dumped (and killed), restored by stock criu, checked.
leave-running: dumped with -R, compared from outside by /proc, checked.
snapshot:      dumped with -R from a copy, or with --copies pre-copy beforehand, killed while it runs
               on, restored as it was, checked. With --uncopied no process may be copied: a dump
               that insists on it is refused, and another one is made while they stand.
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
import written_in_parts
import zero_page

SKIPPED = 77


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
        except dumpers.Untold as reason:
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
            self._expect_halves(images)
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
        if most is not None and not zero_page.exists():
            most += self._options.zeros
        if most is not None and not 0 < sum(sizes) <= most << 10:
            raise target_process.TargetFailure(f"{sum(sizes) >> 10} KiB of memory were written")

    def _expect_halves(self, images):
        """Two have written, each the half of it, where there are two processors."""
        if not self._options.divided or len(os.sched_getaffinity(0)) < 2:
            return
        own, other = (sum(os.stat(path).st_size for path in glob.glob(os.path.join(images, name)))
                      for name in ("pages-*.img", "parent/pages-*.img"))
        if abs(own - other) > (own + other) // 10:
            raise target_process.TargetFailure(
                f"{own >> 10} KiB of memory and {other >> 10} KiB in the parent are no halves")

    def _dump_while_running(self, images, options):
        if self._options.uncopied:
            return self._dump_uncopied(images, options)
        if self._options.large:
            return self._dump_large(images, options)
        copies = self._options.copies
        how = [] if copies == "default" else [f"--snapshot={copies}"]
        beforehand = copies == "pre-copy"
        pids = self._target.tree()
        self._dumper.dump(self._target.pid, images, self._deadline, leave_running=True,
                          options=[*options, *how, "--json"],
                          stall="catch-up" if beforehand else None)
        dumpers.expect_while_running(
            images, "pages_pre_copied" if beforehand else "pages_by_copy")
        if copies in ("cow", "default"):
            _expect_text(images, "dump.log", f"Copied {len(pids)} processes")

    def _dump_large(self, images, options):
        trace = os.path.join(self._directory, "trace.json")
        self._dumper.dump(self._target.pid, images, self._deadline, leave_running=True,
                          options=[*options, "--json", "--trace", trace])
        print(written_in_parts.expect(images, trace, self._target.tree()))

    def _dump_uncopied(self, images, options):
        """No process is copied: the dump tells why of each, or is refused where it insists."""
        why = self._options.uncopied
        refused = self._new_images()
        try:
            self._dumper.dump(self._target.pid, refused, self._deadline, leave_running=True,
                              options=[*options, "--snapshot=cow"])
        except dumpers.DumpFailure:
            _expect_text(refused, "dump.out", f"no copy of process {self._target.pid}: {why}")
        else:
            raise target_process.TargetFailure("copies were not refused")
        left = glob.glob(os.path.join(refused, "**/*.img"), recursive=True)
        if left:
            raise target_process.TargetFailure(f"of what was refused there is {left}")
        self._dumper.dump(self._target.pid, images, self._deadline, leave_running=True,
                          options=[*options, "--snapshot=auto"])
        for pid in self._target.tree():
            _expect_text(images, "dump.log", f"not copied: process {pid}: {why}")

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
        self._expect_halves(images)
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


def _expect_text(images, name, words):
    with open(os.path.join(images, name), errors="replace") as file:
        if words not in file.read():
            raise target_process.TargetFailure(f"{name} does not say: {words}")


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
    parser.add_argument("--copies", default="cow", choices=["auto", "cow", "default", "pre-copy"],
                        help="what --snapshot is given, if it is")
    parser.add_argument("--uncopied", metavar="WHY", help="a copy of each process is refused")
    parser.add_argument("--divided", action="store_true",
                        help="it has so much memory that two write it")
    parser.add_argument("--large", action="store_true",
                        help="each process has so much memory that it is written beforehand")
    parser.add_argument("--most-memory", type=int, help="how many KiB of it the images may have")
    parser.add_argument("--zeros", type=int, default=0,
                        help="and how many more where no page of zeros stands for them")
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
