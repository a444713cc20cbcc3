#!/usr/bin/python3
"""Asks dumpctl to explain a target, dumps it, and compares the images that were told with those that
were written.

  run_explain.py --dumper PROGRAM [--with OPTION]... TARGET
"""

import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import dumper as dumpers
import one_target
import target_process

# Our own.
UNTOLD = {"dump.log", "dump.out"}


def run(options, directory):
    images = os.path.join(directory, "images")
    os.mkdir(images)
    start = one_target.Start(options, directory)
    target = start.target
    try:
        start.run()
        command = [options.dumper, "explain", "-t", str(target.pid), "--json", *options.with_options]
        told = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
        dumper = dumpers.Dumper(start.reaper, options.dumper, None)
        dumper.dump(target.pid, images, start.deadline, options=options.with_options)
    except (target_process.TargetFailure, dumpers.DumpFailure) as failure:
        print(f"{failure}\n--- target printed:\n{target.status()}{dumpers.log_tails(images)}")
        return 1
    written = {os.path.relpath(os.path.join(place, name), images)
               for place, _, names in os.walk(images) for name in names} - UNTOLD
    if len(told["images"]) == len(set(told["images"])) and set(told["images"]) == written:
        return 0
    print(f"told and not written: {sorted(set(told['images']) - written)}")
    print(f"written and not told: {sorted(written - set(told['images']))}")
    return 1


def main():
    parser = one_target.parser(__doc__)
    parser.add_argument("--with", dest="with_options", action="append", default=[])
    return one_target.main(parser.parse_args(), "explain", run)


if __name__ == "__main__":
    sys.exit(main())
