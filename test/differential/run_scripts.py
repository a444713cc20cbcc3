#!/usr/bin/python3
"""Dumps one target by stock criu and by a dumper with --action-script: both run the same scripts, at
the same stages, in the same order, and each of these sees the same.

  run_scripts.py --dumper PROGRAM TARGET
"""

import os
import shutil
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../restore"))
import dumper as dumpers
import one_target
import target_process

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


def log_of(program, start, directory, criu):
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
    dumper = dumpers.Dumper(start.reaper, program, criu)
    try:
        dumper.dump(start.target.pid, images, start.deadline, leave_running=True, options=scripts)
        with open(log) as told:
            return told.read()
    except dumpers.DumpFailure as failure:
        raise dumpers.DumpFailure(f"{failure}\n{dumpers.log_tails(images)}")
    finally:
        for path in (images, log):
            shutil.rmtree(path) if os.path.isdir(path) else os.path.exists(path) and os.remove(path)


def compare(options, directory):
    start = one_target.Start(options, directory)
    try:
        start.run()
        logs = [log_of(program, start, directory, options.stock)
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
    return one_target.main(one_target.parser(__doc__).parse_args(), "scripts", compare, stock="criu")


if __name__ == "__main__":
    sys.exit(main())
