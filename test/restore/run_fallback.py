#!/usr/bin/python3
"""Dumps one target with a kernel feature and without it, and compares the images of its memory, of
its descriptors, and of its threads but the first, which have to wait in a system call.

  run_fallback.py --dumper PROGRAM --without FEATURE [--needs FEATURE] --says TEXT --instead TEXT
                  TARGET

The two texts are what the log says with the feature and without it, so that it is sure that both
ways were gone. Exit status: 0 passed, 1 failed, 77 skipped (`dumpctl check` says that the feature,
or another that it is of no use without, is not there).
"""

import fnmatch
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import dumper as dumpers
import one_target
import target_process

COMPARED = ("mm-*.img", "pagemap-*.img", "pages-*.img", "files.img", "fdinfo-*.img", "core-*.img")


class Difference(Exception):
    pass


def read(path, mode="r"):
    with open(path, mode) as file:
        return file.read()


def dump(dumper, target, images, features, deadline):
    os.mkdir(images)
    os.environ["DUMPCTL_KERNEL_FEATURES"] = features
    dumper.dump(target.pid, images, deadline, leave_running=True)
    return read(os.path.join(images, "dump.log"))


def skip_without(dumper, features):
    """Not by what a dump says: where BPF has come to fail it says the same as where there is none."""
    told = subprocess.run([dumper, "check", "--json"], check=True, stdout=subprocess.PIPE).stdout
    states = {check["name"]: check["state"] for check in json.loads(told)["checks"]}
    for feature in features:
        if states[feature] != "ok":
            raise one_target.Skipped(f"this kernel or caller lacks {feature}")


def compare(target, images, others):
    names = sorted(os.listdir(images))
    for pattern in COMPARED:
        found = set(fnmatch.filter(names, pattern))
        if not found:
            raise Difference(f"there is no {pattern}")
        for name in sorted(found - {f"core-{target.pid}.img"}):
            if read(os.path.join(images, name), "rb") != read(os.path.join(others, name), "rb"):
                raise Difference(f"{name} is another one")


def run(options, directory):
    if options.dumper == "stock":
        raise one_target.Skipped("stock has no such switch")
    start = one_target.Start(options, directory)
    target, deadline = start.target, start.deadline
    dumper = dumpers.Dumper(start.reaper, options.dumper, None)
    with_it, without = (os.path.join(directory, name) for name in ("with", "without"))
    try:
        skip_without(options.dumper, [options.without, *options.needs])
        # rseq(2) notes in its memory on which processor it runs: on one it is the same each time.
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        start.run()
        # Behind its last word it writes to its stack on its way to where it waits.
        target.wait_state("S", deadline)
        said = dump(dumper, target, with_it, "", deadline)
        if options.says not in said:
            raise Difference(f"no \"{options.says}\" with the feature")
        said = dump(dumper, target, without, f"-{options.without}", deadline)
        if options.instead not in said or options.says in said:
            raise Difference(f"no \"{options.instead}\" with the feature forced down")
        compare(target, with_it, without)
        target.go("resumed")
        target.check_verdict(deadline)
    except (target_process.TargetFailure, dumpers.DumpFailure, Difference) as failure:
        print(f"{failure}\n--- target printed:\n{target.status()}")
        print(dumpers.log_tails(with_it), dumpers.log_tails(without))
        return 1
    return 0


def main():
    parser = one_target.parser(__doc__)
    parser.add_argument("--without", required=True, help="the kernel feature")
    parser.add_argument("--needs", action="append", default=[], help="another, to go with it")
    parser.add_argument("--says", required=True, help="what the log says with it")
    parser.add_argument("--instead", required=True, help="what the log says without it")
    return one_target.main(parser.parse_args(), "fallback", run)


if __name__ == "__main__":
    sys.exit(main())
