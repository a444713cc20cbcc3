#!/usr/bin/python3
"""Dumps of one target that build upon each other, restored by stock criu.

  run_incremental.py --dumper PROGRAM --case CASE TARGET

chain:     three pre-dumps and a dump of a target that goes on writing; restored, and checked.
direct:    the same, written past the page cache.
dedup:     the same, and what is superseded is freed in the images before.
freed:     the same, by a command when all of them stand.
partly:    what a dump of a part of the tree has freed in the images before is written again.
moved:     memory that is moved all the time, over what is tracked and away from it.
tables:    what was moved by whole page tables, or given back and read, is written again.
lost:      tracking that was lost, or is of other images, leaves nothing to the images before.
restarted: neither does that of another process which had the pid.
reused:    where it was a child's, what its parent has is left, and nothing of the child's,
executed:  nor of a child's that has executed a program anew,
watched:   even if the dump of another tree has that one's writes watched.
overlapping: a part of a tree is tracked for nobody else meanwhile,
around:    nor a tree with a part that is.
untrack:   ended on request, tracking leaves nothing in the target.
server:    the memory of a chain goes to page servers (--server PROGRAM|trixie|sid), each with the
           previous one's; one without them, or with others, is sent all.
killed:    nor does a pre-dump, or a dump that tracks, which fails or is killed at any step.

Exit status: 0 passed, 1 failed, 77 skipped.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import dumper as dumpers
import one_target
import proc_facts
import run_page_server
import target_process
import zero_page


# Of a pagemap's entries.
_IN_PARENT = 1
_PRESENT = 4


class Wrong(Exception):
    pass


def require(condition, what):
    if not condition:
        raise Wrong(what)


class Incremental:
    def __init__(self, options, directory):
        self._options = options
        self._directory = directory
        self._start = one_target.Start(options, directory)
        self._images = []

    @property
    def knows_runs(self):
        """Whether the page server can tell the images of one dump from another's."""
        return self._options.server == self._options.dumper

    @property
    def target(self):
        return self._start.target

    def start(self):
        self._start.run()

    def images(self, number):
        path = os.path.join(self._directory, str(number))
        if not os.path.isdir(path):
            os.mkdir(path)
            self._images.append(path)
        return path

    def run(self, command, *arguments, fault=""):
        """The exit code, and what it printed."""
        path = os.path.join(self._directory, "printed")
        environment = dict(os.environ, DUMPCTL_FAULT=fault)
        with open(path, "wb") as out:
            pid = self._start.reaper.start([self._options.dumper, command, *arguments],
                                           stdout=out.fileno(), env=environment)
        code = self._start.reaper.wait(pid, self._start.deadline)
        self._start.reaper.forget(pid)
        with open(path) as printed:
            return code, printed.read()

    def dump(self, command, number, *arguments, previous=None):
        """Its report."""
        tree = [] if "-t" in arguments else ["-t", str(self.target.pid)]
        arguments = [*tree, "-D", self.images(number), "--json", *arguments]
        if previous is not None:
            arguments += ["--prev-images-dir", f"../{previous}"]
        code, printed = self.run(command, *arguments)
        require(code == 0, f"{command} {' '.join(arguments)}: ended with {code}: {printed}")
        require("{" in printed, f"{command}: {printed}")
        return json.loads(printed[printed.index("{"):])

    def kept(self, number):
        path = os.path.join(self._directory, "kept", str(number))
        os.makedirs(path, exist_ok=True)
        return path

    def send(self, command, number, *arguments, previous=None, there=None):
        """The same to a page server, with the memory that another has kept."""
        server = run_page_server.start_server(
            self._options.server, self._start.reaper, self.kept(number), self._start.deadline,
            *(["--prev-images-dir", f"../{there}", "--auto-dedup"] if there else []))
        report = self.dump(command, number, "--page-server", "--address", "127.0.0.1", "--port",
                           str(run_page_server.PORT), *arguments, previous=previous)
        code = self._start.reaper.wait(server, self._start.deadline)
        require(code == 0, f"page server {number} ended with {code}")
        require(not any(name.startswith("page") for name in os.listdir(self.images(number))),
                f"pages beside the images: {os.listdir(self.images(number))}")
        return report

    def pagemaps(self, number):
        """By pagemap: how many pages are in these images, and how many are left to those before."""
        code, printed = self.run("show", "--json", self.images(number))
        require(code == 0, f"show: {code}, {printed[-200:]}")
        found = {}
        for name, image in json.loads(printed).items():
            if not name.startswith("pagemap-"):
                continue
            entries = image["entries"][1:]
            found[name.removeprefix("pagemap-").removesuffix(".img")] = tuple(
                sum(entry["compat_nr_pages"] for entry in entries if entry["flags"] & flag)
                for flag in (_PRESENT, _IN_PARENT))
        return found

    def write_a_while(self):
        time.sleep(0.03)

    def ask(self, name, answer):
        """The target does something, and tells when it is done."""
        with open(os.path.join(self._start.work_dir, name), "w"):
            pass
        while not os.path.exists(os.path.join(self._start.work_dir, answer)):
            require(time.monotonic() < self._start.deadline, f"no {answer}")
            code = self._start.reaper.wait(self.target.pid, time.monotonic() + 0.002)
            require(code is None, f"the target ended with {code}")

    def expect_no_traces(self):
        for pid in self.target.tree():
            with open(f"/proc/{pid}/smaps") as smaps:
                require(" uw" not in smaps.read(), f"process {pid} is watched still")
            for name in os.listdir(f"/proc/{pid}/fd"):
                link = os.readlink(f"/proc/{pid}/fd/{name}")
                require("userfaultfd" not in link, f"process {pid} has {link}")

    def is_watched(self):
        """Whether by userfaultfd: else it is by soft-dirty bits that it is tracked, if at all."""
        with open(f"/proc/{self.target.pid}/smaps") as smaps:
            return " uw" in smaps.read()

    def track(self, pid, number, command="pre-dump", *options):
        """Of a tree that may not be: the exit code, and what it printed."""
        return self.run(command, "-t", pid, "-D", self.images(number), "-j", *options)

    def holders(self):
        found = []
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{name}/comm") as comm, open(f"/proc/{name}/stat") as stat:
                    if comm.read() == "dumpctl-holder\n" and ") Z" not in stat.read():
                        found.append(int(name))
            except (FileNotFoundError, ProcessLookupError):
                pass
        return found

    def expect_holders(self, count):
        while len(self.holders()) != count:
            require(time.monotonic() < self._start.deadline, f"holders: {self.holders()}")
            self._start.reaper.wait(self.target.pid, time.monotonic() + 0.002)

    def restore(self, images, pids):
        self.target.wait_gone(pids, self._start.deadline)
        restorer = dumpers.Dumper(self._start.reaper, self._options.dumper, self._options.stock)
        restorer.restore(images, self._start.deadline)
        self.check("restored")

    def check(self, event):
        self.target.go(event)
        self.target.check_verdict(self._start.deadline)

    def logs(self):
        return "".join(dumpers.log_tails(images) for images in self._images)


def expect_little(test, number, report, whole):
    """Of `whole`, the first dump's, the most is left to it."""
    require(report["pages_in_parent"] > 0, f"nothing is left by {number}: {report}")
    require(report["pages_written"] < whole["pages_written"] // 2,
            f"{number} has written as much: {report}, of {whole}")


def chain(test, *options):
    test.start()
    whole = test.dump("pre-dump", 1, *options)
    require(whole["pages_in_parent"] == 0 and whole["tracked"], f"the first: {whole}")
    for number in (2, 3):
        test.write_a_while()
        more = test.dump("pre-dump", number, *options, previous=number - 1)
        expect_little(test, number, more, whole)
    test.expect_holders(1)
    test.write_a_while()
    pids = test.target.tree()
    last = test.dump("dump", 4, *options, previous=3)
    expect_little(test, 4, last, whole)
    require(not last["tracked"], f"the last: {last}")
    # Nobody watches that: it is written whole.
    shared = [pages for name, pages in test.pagemaps(4).items() if name.startswith("shmem-")]
    require(shared == [(128, 0)], f"of memory that is shared there is {shared}")
    test.expect_holders(0)
    return pids


def case_chain(test):
    test.restore(test.images(4), chain(test))


def case_direct(test):
    test.restore(test.images(4), chain(test, "--direct"))


def blocks(images):
    return sum(os.stat(os.path.join(images, name)).st_blocks
               for name in os.listdir(images) if name.startswith("pages-"))


def case_dedup(test):
    pids = chain(test, "--auto-dedup")
    before = blocks(test.images(1))
    # What was freed already, it frees again, and nothing else.
    code, printed = test.run("dedup", "-D", test.images(4))
    require(code == 0 and "in 3 directories" in printed, f"dedup: {code}, {printed}")
    whole = size(test.images(1))
    require(blocks(test.images(1)) == before < whole // 512, f"{before} blocks of {whole} bytes")
    test.restore(test.images(4), pids)


def case_freed(test):
    pids = chain(test)
    before = [blocks(test.images(number)) for number in range(1, 5)]
    code, printed = test.run("dedup", "-D", test.images(4))
    require(code == 0, f"dedup: {code}, {printed}")
    freed = int(re.match(r"Freed (\d+) pages in 3 directories", printed).group(1))
    after = [blocks(test.images(number)) for number in range(1, 5)]
    # Each of those before has something that was written again, and the last one is as it was.
    require(all(now < then for now, then in zip(after[:3], before)) and after[3] == before[3],
            f"{before} blocks became {after}: {printed}")
    # A file system takes some blocks to know where the holes are.
    fell = sum(before) - sum(after)
    require(fell > freed * 6 > 0, f"{before} blocks became {after}: {printed}")
    test.restore(test.images(4), pids)


def case_partly(test):
    test.start()
    child = test.target.tree()[1]
    test.dump("pre-dump", 1)
    test.dump("pre-dump", 2, previous=1)
    # Nobody tracks the child as the root of a tree: it is written as a whole.
    test.dump("dump", 3, "-R", "-j", "-t", str(child), "--auto-dedup", previous=2)
    require(blocks(test.images(1)) * 512 < size(test.images(1)), "nothing was freed")
    pids = test.target.tree()
    test.dump("dump", 4, previous=2)
    found = test.pagemaps(4)
    require(found[str(pids[0])][1] > 256, f"of the parent {found} is left")
    require(found[str(child)][0] > 2048 and found[str(child)][1] == 0, f"of the child {found}")
    test.restore(test.images(4), pids)


def size(images):
    return sum(os.path.getsize(os.path.join(images, name))
               for name in os.listdir(images) if name.startswith("pages-"))


def case_server(test):
    test.start()
    test.send("pre-dump", 1)
    test.write_a_while()
    # Without those that it has sent before, it sends all; so it does when they are others, as far as
    # the server can tell.
    for number, there in ((2, None), (3, 1 if test.knows_runs else None)):
        more = test.send("pre-dump", number, previous=number - 1, there=there)
        require(more["pages_in_parent"] == 0, f"pre-dump {number}: {more}")
    for number in (4, 5):
        test.write_a_while()
        before = blocks(test.kept(number - 1))
        more = test.send("pre-dump", number, previous=number - 1, there=number - 1)
        require(more["pages_in_parent"] > 0, f"pre-dump {number}: {more}")
        require(size(test.kept(number)) == more["pages_written"] * 4096, f"kept {number}: {more}")
        require(blocks(test.kept(number - 1)) < before, f"nothing is freed below {number}")
    test.write_a_while()
    pids = test.target.tree()
    last = test.send("dump", 6, previous=5, there=5)
    require(last["pages_in_parent"] > 0, f"the last: {last}")
    for name in os.listdir(test.images(6)):
        if name.endswith(".img"):
            os.rename(os.path.join(test.images(6), name), os.path.join(test.kept(6), name))
    test.restore(test.kept(6), pids)


def case_moved(test):
    test.start()
    for number in range(1, 5):
        report = test.dump("pre-dump", number, previous=number - 1 or None)
        require((report["pages_in_parent"] > 2000) == (number > 1), f"pre-dump {number}: {report}")
        test.write_a_while()
    pids = test.target.tree()
    last = test.dump("dump", 5, previous=4)
    require(last["pages_in_parent"] > 2000, f"the last: {last}")
    test.restore(test.images(5), pids)


def case_tables(test):
    test.start()
    whole = test.dump("pre-dump", 1)
    test.ask("move", "moved")
    pids = test.target.tree()
    last = test.dump("dump", 2, previous=1)
    require(0 < last["pages_in_parent"] < 1024, f"what has no tables of its own is left: {last}")
    # What was given back and read is nothing, if there is a page of zeros.
    zeros = 0 if zero_page.exists() else 512 + 1
    require(whole["pages_written"] > 3 * 512 > last["pages_written"] - zeros, f"{whole}, {last}")
    test.restore(test.images(2), pids)


def case_lost(test):
    test.start()
    test.dump("dump", 1, "-R", "--track-mem")
    test.expect_holders(1)
    os.kill(test.holders()[0], signal.SIGKILL)
    test.expect_holders(0)
    test.expect_no_traces()
    report = test.dump("pre-dump", 2, previous=1)
    require(report["pages_in_parent"] == 0, f"without a holder: {report}")
    report = test.dump("dump", 3, "-R", previous=1)
    require(report["pages_in_parent"] == 0, f"upon other images: {report}")
    test.write_a_while()
    report = test.dump("dump", 4, "-R", "--track-mem", previous=2)
    require(report["pages_in_parent"] > 0, f"the holder stays beside a dump: {report}")
    # One that fails after it has begun a round of its own.
    code, _ = test.run("pre-dump", "-t", str(test.target.pid), "-D", test.images(5),
                       fault="commit=fail")
    require(code != 0, "it was to fail")
    test.expect_holders(0)
    test.expect_no_traces()
    pids = test.target.tree()
    report = test.dump("dump", 6, previous=4)
    require(report["pages_in_parent"] == 0, f"after one that failed: {report}")
    test.restore(test.images(6), pids)


def case_restarted(test):
    test.start()
    test.dump("pre-dump", 1)
    pids = test.target.tree()
    for pid in reversed(pids):
        os.kill(pid, signal.SIGKILL)
    test.target.wait_gone(pids, time.monotonic() + 10)
    os.remove(os.path.join(test._start.work_dir, "status"))
    try:
        with open("/proc/sys/kernel/ns_last_pid", "w") as last:
            last.write(str(pids[0] - 1))
    except OSError as error:
        raise one_target.Skipped(f"pids cannot be chosen: {error}") from error
    test.start()
    require(test.target.pid == pids[0], f"pid {test.target.pid}, not {pids[0]}")
    report = test.dump("dump", 2, "-R", previous=1)
    require(report["pages_in_parent"] == 0, f"another process: {report}")
    test.check("resumed")


def expect_other_child(test, asked, done):
    """A child that is not what it was is written as a whole, once, and its parent as it was."""
    test.start()
    pids = test.target.tree()
    root, child = (str(pid) for pid in pids)
    test.dump("pre-dump", 1)
    test.ask(asked, done)
    require(test.target.tree() == pids, f"processes {test.target.tree()}, not {pids}")
    # One that leaves the tracking alone, and one that takes it over.
    test.dump("dump", 2, "-R", previous=1)
    test.dump("pre-dump", 3, previous=1)
    for number in (2, 3):
        found = test.pagemaps(number)
        require(found[root][1] > 256, f"of the parent {number} leaves {found[root]}")
        require(found[child][0] > 256 and found[child][1] == 0,
                f"of another child {number} leaves {found[child]}")
    test.dump("dump", 4, previous=3)
    found = test.pagemaps(4)
    require(found[root][1] > 256 and found[child][1] > 256, f"the last leaves {found}")
    test.restore(test.images(4), pids)


def case_reused(test):
    expect_other_child(test, "replace", "replaced")


def case_executed(test):
    expect_other_child(test, "execute", "executed")


def case_watched(test):
    """What another tree's dump has its writes watched by says nothing of the time before."""
    test.start()
    pids = test.target.tree()
    root, child = (str(pid) for pid in pids)
    test.dump("pre-dump", 1)
    by_watch = test.is_watched()
    test.ask("execute", "executed")
    if by_watch:
        test.dump("pre-dump", 2, "-j", "-t", child)
    else:  # a process has soft-dirty bits whichever program it runs
        expect_tracked_elsewhere(*test.track(child, 2))
    test.dump("dump", 3, previous=1)
    found = test.pagemaps(3)
    require(found[root][1] > 256, f"of the parent {found[root]} is left")
    require(found[child][0] > 256 and found[child][1] == 0, f"of another program {found[child]}")
    test.restore(test.images(3), pids)


def expect_tracked_elsewhere(code, printed):
    require(code == 16 and "are tracked for a dump of another tree" in printed,
            f"it is tracked twice: {code}, {printed}")


def case_overlapping(test):
    """Of two who track a process each would take from the other what was written to."""
    test.start()
    pids = test.target.tree()
    root, child = (str(pid) for pid in pids)
    test.dump("pre-dump", 1)
    test.ask("write", "written")
    refused = [test.track(child, 2), test.track(child, 3, "dump", "-R", "--track-mem")]
    test.dump("dump", 4, previous=1)
    found = test.pagemaps(4)
    test.restore(test.images(4), pids)
    for code, printed in refused:
        expect_tracked_elsewhere(code, printed)
    require(found[root][1] > 256, f"of the parent {found[root]} is left")
    require(found[child][0] >= 256 and found[child][1] > 0, f"of the child {found[child]}")


def case_around(test):
    test.start()
    pids = test.target.tree()
    root, child = (str(pid) for pid in pids)
    test.dump("pre-dump", 1, "-j", "-t", child)
    test.ask("write", "written")
    code, printed = test.track(root, 2)
    test.dump("pre-dump", 3, "-j", "-t", child, previous=1)
    found = test.pagemaps(3)
    require(found[child][0] >= 256, f"what was written is taken for what it was: {found}")
    expect_tracked_elsewhere(code, printed)
    test.expect_holders(1)
    require(found[child][1] > 0, f"it is tracked no more: {found}")
    # Whoever has tracked the part lets go of it.
    code, printed = test.run("untrack", "-t", child)
    require(code == 0 and "tracked no more" in printed, f"untrack: {code}, {printed}")
    test.dump("pre-dump", 4)
    test.dump("dump", 5, previous=4)
    found = test.pagemaps(5)
    require(found[root][1] > 256 and found[child][1] > 256, f"the last leaves {found}")
    test.restore(test.images(5), pids)


def case_untrack(test):
    test.start()
    before = proc_facts.snapshot(test.target.pid)
    test.dump("pre-dump", 1)
    code, printed = test.run("untrack", "-t", str(test.target.pid))
    require(code == 0 and "tracked no more" in printed, f"untrack: {code}, {printed}")
    changed = proc_facts.differences(before, proc_facts.snapshot(test.target.pid))
    require(not changed, "tracking left:\n" + "\n".join(changed))
    test.expect_no_traces()
    test.expect_holders(0)
    code, printed = test.run("untrack", "-t", str(test.target.pid))
    require(code == 0 and "is not tracked" in printed, f"untrack again: {code}, {printed}")
    report = test.dump("dump", 2, "-R", previous=1)
    require(report["pages_in_parent"] == 0, f"not tracked: {report}")
    test.check("resumed")


def case_killed(test):
    test.start()
    before = proc_facts.snapshot(test.target.pid)
    steps = ("preflight", "images", "freeze", "track", "holdings", "resume", "memory", "serialise",
             "commit")
    runs = [("pre-dump", step, way) for step in steps for way in ("fail", "kill")]
    runs += [("dump", step, "kill") for step in ("track", "holdings", "memory", "commit")]
    for number, (command, step, way) in enumerate(runs):
        arguments = ["-t", str(test.target.pid), "-D", test.images(number)]
        if command == "dump":
            arguments += ["-R", "--track-mem"]
        code, printed = test.run(command, *arguments, fault=f"{step}={way}")
        require(code == (-9 if way == "kill" else 1), f"{command}, {step}={way}: {code} {printed}")
        left = os.listdir(test.images(number))
        require("inventory.img" not in left, f"images of {step}: {left}")
        require(way == "kill" or not left, f"{command} left of {step}: {left}")
        test.expect_holders(0)
        test.expect_no_traces()
        changed = proc_facts.differences(before, proc_facts.snapshot(test.target.pid))
        require(not changed, f"{command}, {step}={way} left:\n" + "\n".join(changed))
    test.check("resumed")


CASES = {"chain": case_chain, "dedup": case_dedup, "direct": case_direct, "freed": case_freed,
         "partly": case_partly, "moved": case_moved, "tables": case_tables, "lost": case_lost,
         "restarted": case_restarted, "reused": case_reused, "executed": case_executed,
         "watched": case_watched, "overlapping": case_overlapping, "around": case_around,
         "untrack": case_untrack, "killed": case_killed,
         "server": case_server}


def run(options, directory):
    if options.dumper == "stock":
        raise one_target.Skipped("stock tracks nothing on this kernel")
    done = subprocess.run([options.dumper, "check", "--feature", "mem_dirty_track"],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode == 17:
        raise one_target.Skipped(done.stdout.strip())
    test = Incremental(options, directory)
    try:
        require(done.returncode == 0, f"check: {done.stdout}")
        CASES[options.case](test)
    except (target_process.TargetFailure, dumpers.DumpFailure, Wrong) as failure:
        print(f"{failure}\n--- target printed:\n{test.target.status()}\n{test.logs()}")
        return 1
    return 0


def main():
    parser = one_target.parser(__doc__)
    parser.add_argument("--case", required=True, choices=CASES)
    parser.add_argument("--server", help="dumpctl's path, or a suite")
    parser.add_argument("--suite", default="trixie", help="whose criu restores")
    options = parser.parse_args()
    try:
        options.stock = dumpers.stock(suite="sid" if options.server == "sid" else options.suite)
        if options.server in run_page_server.SUITES:
            options.server = dumpers.stock(suite=options.server)
    except subprocess.CalledProcessError:
        print("there is no stock criu of that suite")
        return one_target.SKIPPED
    return one_target.main(options, "incremental", run)


if __name__ == "__main__":
    sys.exit(main())
