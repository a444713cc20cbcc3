#!/usr/bin/python3
"""Asks dumpctl to explain a target, dumps it, and compares the images that were told with those that
were written.

  run_explain.py --dumper PROGRAM [--with OPTION]... TARGET
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import dumper as dumpers
import sandbox
import target_process

SKIPPED = 77
# Our own, and what only a look into a terminal tells.
UNTOLD = {"dump.log", "dump.out", "tty-data.img"}


def run(options, directory):
    reaper = sandbox.Reaper()
    deadline = time.monotonic() + options.timeout
    work_dir, images = (os.path.join(directory, name) for name in ("work", "images"))
    os.mkdir(work_dir)
    os.mkdir(images)
    target = target_process.Target(reaper, options.target, work_dir)
    try:
        target.start()
        reason = target.wait_ready(deadline)
        if reason is not None:
            print(reason)
            return SKIPPED
        command = [options.dumper, "explain", "-t", str(target.pid), "--json", *options.with_options]
        told = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
        dumper = dumpers.Dumper(reaper, options.dumper, None)
        dumper.dump(target.pid, images, deadline, options=options.with_options)
    except (target_process.TargetFailure, dumpers.DumpFailure) as failure:
        print(f"{failure}\n--- target printed:\n{target.status()}{dumpers.log_tails(images)}")
        return 1
    written = set(os.listdir(images)) - UNTOLD
    if len(told["images"]) == len(set(told["images"])) and set(told["images"]) == written:
        return 0
    print(f"told and not written: {sorted(set(told['images']) - written)}")
    print(f"written and not told: {sorted(written - set(told['images']))}")
    return 1


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target")
    parser.add_argument("--dumper", required=True)
    parser.add_argument("--with", dest="with_options", action="append", default=[])
    parser.add_argument("--timeout", type=float, default=30)
    options = parser.parse_args()
    if os.geteuid() != 0:
        print("a private pid namespace takes root")
        return SKIPPED
    options.target = os.path.abspath(options.target)
    options.dumper = os.path.abspath(options.dumper)
    directory = tempfile.mkdtemp(prefix="dumpctl-explain-")
    os.chmod(directory, 0o755)
    try:
        return sandbox.run_inside(lambda: run(options, directory), options.timeout + 5)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
