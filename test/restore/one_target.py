"""What programs share that start one target in a sandbox of its own and dump it in their own way."""

import argparse
import os
import tempfile
import time

import dumper as dumpers
import sandbox
import target_process

SKIPPED = 77


class Skipped(Exception):
    """The target, or the test, says why it cannot run here."""


class Start:
    """A target that waits to be started, the reaper of all, and until when they may take."""

    def __init__(self, options, directory, program=None):
        self.reaper = sandbox.Reaper()
        self.deadline = time.monotonic() + options.timeout
        self.work_dir = os.path.join(directory, "work")
        os.mkdir(self.work_dir)
        self.target = target_process.Target(self.reaper, program or options.target, self.work_dir)

    def run(self):
        self.target.start()
        reason = self.target.wait_ready(self.deadline)
        if reason is not None:
            raise Skipped(reason)


def dumped_elsewhere(options, directory, dump):
    """A dump of which not all goes into the images directory, restored: the exit status.

    dump(start, dumper, images, kept) has the target dumped into `images`, and what goes elsewhere
    kept in `kept`, and gives the directory that has all of it when the target is dead, or dying.
    """
    images, kept = (os.path.join(directory, name) for name in ("images", "kept"))
    os.mkdir(images)
    os.mkdir(kept)
    start = Start(options, directory)
    target, deadline = start.target, start.deadline
    dumper = dumpers.Dumper(start.reaper, options.dumper, options.stock)
    try:
        start.run()
        pids = target.tree()
        whole = dump(start, dumper, images, kept)
        target.wait_gone(pids, deadline)
        dumper.restore(whole, deadline)
        target.go("restored")
        target.check_verdict(deadline)
    except (target_process.TargetFailure, dumpers.DumpFailure) as failure:
        print(f"{failure}\n--- target printed:\n{target.status()}")
        print(dumpers.log_tails(images), dumpers.log_tails(kept))
        return 1
    return 0


def parser(doc):
    made = argparse.ArgumentParser(description=doc.splitlines()[0])
    made.add_argument("target")
    made.add_argument("--dumper", required=True, help="dumpctl's path, or stock")
    made.add_argument("--timeout", type=float, default=30)
    return made


def main(options, name, run, stock=None):
    """Calls run(options, directory) inside; its exit status, or that of a test that is skipped.

    `stock`: what run finds of stock criu as options.stock; made now, for inside there is no network.
    """
    if os.geteuid() != 0:
        print("a private pid namespace takes root")
        return SKIPPED
    options.target = os.path.abspath(options.target)
    if options.dumper != "stock":
        options.dumper = os.path.abspath(options.dumper)
    if stock is not None:
        options.stock = dumpers.stock(stock)

    def inside():
        try:
            return run(options, directory)
        except Skipped as skipped:
            print(skipped)
            return SKIPPED

    prefix = f"dumpctl-{name}-"
    with tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as directory:
        os.chmod(directory, 0o755)
        # Time enough for the test to see its own deadline first, and to print its logs.
        return sandbox.run_inside(inside, options.timeout + 5)
