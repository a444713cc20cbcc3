#!/usr/bin/python3
"""Dumps one target by stock criu and by a dumper with --action-script: both run the same scripts, at
the same stages, in the same order, and each of these sees the same.

  run_scripts.py --dumper PROGRAM TARGET
"""

import argparse
import os
import shutil
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../restore"))
import dumper as dumpers
import sandbox
import target_process

SKIPPED = 77
SCRIPT = """#!/bin/sh
exec >>"{log}"
echo "script $(basename "$0") with $# arguments in $(pwd)"
# It may run or sleep, unless it is frozen.
echo "state $(sed -n 's/^State:.\\(.\\).*/\\1/p' /proc/$CRTOOLS_INIT_PID/status | tr SD RR)"
# What their shells make of it, and what their wrapper needs.
env | sort | grep -v -e ^CRTOOLS_IMAGE_DIR= -e ^CRIU_FAULT= -e ^_= -e ^PWD= -e ^OLDPWD= -e ^SHLVL=
case $CRTOOLS_IMAGE_DIR in
  /proc/*/fd/*) test -d "$CRTOOLS_IMAGE_DIR/" && echo "a directory" ;;
esac
ls "$CRTOOLS_IMAGE_DIR/" | grep -e ^core- -e ^inventory -e ^pages- -e ^pstree
exit 0
"""


def log_of(program, target, directory, reaper, criu, deadline, options):
    """What the scripts see of one dump."""
    images = os.path.join(directory, "images")
    os.mkdir(images)
    log = os.path.join(directory, "log")
    for name in ("first", "second"):
        path = os.path.join(directory, name)
        with open(path, "w") as script:
            script.write(SCRIPT.format(log=log))
        os.chmod(path, 0o755)
    scripts = [f"--action-script={directory}/{name}" for name in ("first", "second")]
    dumper = dumpers.Dumper(reaper, program, criu)
    try:
        dumper.dump(target.pid, images, deadline, leave_running="-R" in options, options=scripts)
        with open(log) as told:
            return told.read()
    except dumpers.DumpFailure as failure:
        raise dumpers.DumpFailure(f"{failure}\n{dumpers.log_tails(images)}")
    finally:
        for path in (images, log):
            shutil.rmtree(path) if os.path.isdir(path) else os.path.exists(path) and os.remove(path)


def compare(options, directory):
    reaper = sandbox.Reaper()
    deadline = time.monotonic() + options.timeout
    work_dir = os.path.join(directory, "work")
    os.mkdir(work_dir)
    target = target_process.Target(reaper, options.target, work_dir)
    try:
        target.start()
        reason = target.wait_ready(deadline)
        if reason is not None:
            print(reason)
            return SKIPPED
        criu = dumpers.stock("criu")
        logs = [log_of(program, target, directory, reaper, criu, deadline, ["-R"])
                for program in (options.dumper, "stock")]
    except (target_process.TargetFailure, dumpers.DumpFailure) as failure:
        print(failure)
        return 1
    if logs[0] != logs[1]:
        print(f"--- ours:\n{logs[0]}--- stock's:\n{logs[1]}")
        return 1
    stages = [line for line in logs[0].splitlines() if line.startswith("CRTOOLS_SCRIPT_ACTION=")]
    words = ("inventory.img", "\nstate R\n", "\nstate t\n", "\na directory\n")
    if len(stages) != 4 or not all(word in logs[0] for word in words):
        print(f"too little was told:\n{logs[0]}")
        return 1
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target")
    parser.add_argument("--dumper", required=True)
    parser.add_argument("--timeout", type=float, default=30)
    options = parser.parse_args()
    if os.geteuid() != 0:
        print("a private pid namespace takes root")
        return SKIPPED
    options.target = os.path.abspath(options.target)
    options.dumper = os.path.abspath(options.dumper)
    directory = tempfile.mkdtemp(prefix="dumpctl-scripts-")
    os.chmod(directory, 0o755)
    try:
        return sandbox.run_inside(lambda: compare(options, directory), options.timeout + 5)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
