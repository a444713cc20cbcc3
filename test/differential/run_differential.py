#!/usr/bin/python3
"""Dumps one target by stock criu and by a dumper, leaving it running, and compares the images.

  run_differential.py [--dumper PROGRAM|stock] [--holding-registers] [--suite trixie|sid] TARGET
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../restore"))
import cgroups
import dumper as dumpers
import hugepages
import sandbox
import target_process

SKIPPED = 77


def dump_both_and_compare(options, tools, directory):
    reaper = sandbox.Reaper()
    deadline = time.monotonic() + options.timeout
    work_dir = os.path.join(directory, "work")
    os.mkdir(work_dir)
    # Over both dumps, of which stock's takes its time, a call stays blocked.
    patience = {"TARGET_TIMEOUT_MS": str(int(2 * options.timeout * 1000))}
    target = target_process.Target(reaper, options.target, work_dir, patience)
    images = {}
    try:
        target.start()
        reason = target.wait_ready(deadline)
        if reason is not None:
            print(reason)
            return SKIPPED
        # Ours first: stock leaves a SIGSTOP queued in a stopped target.
        for name, program in (("ours", options.dumper), ("stock", "stock")):
            images[name] = os.path.join(directory, name)
            os.mkdir(images[name])
            dumper = dumpers.Dumper(reaper, program, tools["criu"])
            dumper.dump(target.pid, images[name], deadline, leave_running=True,
                        options=options.with_options)
    except (target_process.TargetFailure, dumpers.DumpFailure) as failure:
        print(f"{failure}\n--- target printed:\n{target.status()}")
        for logs in images.values():
            print(dumpers.log_tails(logs))
        return 1
    compare = os.path.join(HERE, "compare_images.py")
    argv = [tools["python"], compare]
    if options.holding_registers:
        argv.append("--holding-registers")
    argv += [images["stock"], images["ours"]]
    return reaper.wait(reaper.start(argv, stdout=sys.stdout.fileno()), deadline)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target")
    parser.add_argument("--dumper", default="stock", help="dumpctl's path, or stock")
    parser.add_argument("--holding-registers", action="store_true",
                        help="all threads but the leader hold their registers")
    parser.add_argument("--with", dest="with_options", action="append", default=[],
                        help="an option of both dumps")
    parser.add_argument("--hugepages", type=int, default=0, help="that the target uses")
    parser.add_argument("--suite", default="trixie", help="whose criu dumps")
    parser.add_argument("--timeout", type=float, default=30)
    options = parser.parse_args()
    if os.geteuid() != 0:
        print("a private pid namespace takes root")
        return SKIPPED
    options.target = os.path.abspath(options.target)
    if options.dumper != "stock":
        options.dumper = os.path.abspath(options.dumper)
    try:
        tools = {name: dumpers.stock(name, options.suite) for name in ("criu", "python")}
    except subprocess.CalledProcessError:
        if options.suite == "trixie":
            raise
        print(f"no mirror with {options.suite} is within reach")
        return SKIPPED
    directory = tempfile.mkdtemp(prefix="dumpctl-differential-")
    os.chmod(directory, 0o755)
    try:
        with hugepages.reserved(options.hugepages) as enough:
            if not enough:
                print("too few huge pages can be set aside")
                return SKIPPED
            return sandbox.run_inside(
                lambda: dump_both_and_compare(options, tools, directory), options.timeout + 5
            )
    finally:
        cgroups.remove(directory)
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
