#!/usr/bin/python3
"""Runs one case of bad input, in a private pid and mount namespace.

  run.py --list
  run.py --dumpctl PROGRAM --witness PROGRAM --other-exe PROGRAM --failures FAILURE_H
         --options CRIU_OPTIONS_CC [--timeout SECONDS] CASE

Exit status: 0 passed, 1 failed, 77 skipped, 124 timeout.
"""

import argparse
import ctypes
import importlib
import os
import re
import shutil
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../restore")]
import registry
import sandbox
import scene

# Each names its cases when it is imported.
for file in sorted(os.listdir(HERE)):
    if re.fullmatch(r"cases_\w+\.py", file):
        importlib.import_module(file[: -len(".py")])

SKIPPED = 77
MNT_DETACH = 2


def run(case, options, directory):
    try:
        case.body(scene.Scene(options, directory))
    except registry.Failed as failed:
        print(f"FAIL: {failed}")
        return 1
    except registry.Skipped as skipped:
        print(f"SKIP: {skipped}")
        return SKIPPED
    return 0


def main():
    if sys.argv[1:] == ["--list"]:
        print("\n".join(registry.CASES))
        return 0
    parser = argparse.ArgumentParser()
    for name in ("--dumpctl", "--witness", "--other-exe", "--failures", "--options"):
        parser.add_argument(name, required=True)
    parser.add_argument("--timeout", type=float, default=50)
    parser.add_argument("case", choices=registry.CASES)
    options = parser.parse_args()
    if os.geteuid() != 0:
        print("SKIP: a private pid namespace takes root")
        return SKIPPED
    case = registry.CASES[options.case]
    directory = tempfile.mkdtemp(prefix="dumpctl-refusal-")
    os.chmod(directory, 0o755)
    try:
        if case.outside:
            return run(case, options, directory)
        return sandbox.run_inside(lambda: run(case, options, directory), options.timeout)
    finally:
        # What a case has mounted is mounted here too, and would keep its directory from going.
        # By a system call: with its init dead the namespace has no new processes.
        images = os.path.join(directory, "images").encode()
        while ctypes.CDLL(None).umount2(images, MNT_DETACH) == 0:
            pass
        shutil.rmtree(directory)


if __name__ == "__main__":
    sys.exit(main())
