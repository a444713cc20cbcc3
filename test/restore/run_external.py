#!/usr/bin/python3
"""Dumps target_files_external with --external, and restores it with other files in their places.

  run_external.py --dumper PROGRAM TARGET
"""

import argparse
import os
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import dumper as dumpers
import sandbox
import target_process

SKIPPED = 77
# The target's descriptors, and what is given in their places.
GIVEN = {20: "other", 21: "/dev/kmsg"}


def external(pid, number):
    """How both sides call the file of a descriptor."""
    with open(f"/proc/{pid}/fdinfo/{number}") as info:
        mount_id = next(int(line.split()[1]) for line in info if line.startswith("mnt_id:"))
    return f"file[{mount_id:x}:{os.stat(f'/proc/{pid}/fd/{number}').st_ino:x}]"


def run(options, criu, directory):
    reaper = sandbox.Reaper()
    deadline = time.monotonic() + options.timeout
    work_dir, images = (os.path.join(directory, name) for name in ("work", "images"))
    os.mkdir(work_dir)
    os.mkdir(images)
    target = target_process.Target(reaper, options.target, work_dir)
    dumper = dumpers.Dumper(reaper, options.dumper, criu)
    try:
        target.start()
        reason = target.wait_ready(deadline)
        if reason is not None:
            print(reason)
            return SKIPPED
        names = {number: external(target.pid, number) for number in GIVEN}
        dumper.dump(target.pid, images, deadline,
                    options=[f"--external={name}" for name in names.values()])
        target.wait_gone([target.pid], deadline)
        # A shell opens what the restore inherits.
        opened = " ".join(f"{number}<>{os.path.join(work_dir, path)}" for number, path in GIVEN.items())
        command = [criu, "restore", "-d", "-D", images, "-v4", "-o", "restore.log"]
        for number, name in names.items():
            command += ["--inherit-fd", f"fd[{number}]:{name}"]
        pid = reaper.start(["/bin/bash", "-c", f'exec "$@" {opened}', "bash", *command])
        code = reaper.wait(pid, deadline)
        if code != 0:
            raise dumpers.DumpFailure(f"the restore ended with {code}")
        target.go("restored")
        target.check_verdict(deadline)
    except (target_process.TargetFailure, dumpers.DumpFailure) as failure:
        print(f"{failure}\n--- target printed:\n{target.status()}")
        print(dumpers.log_tails(images))
        return 1
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target")
    parser.add_argument("--dumper", default="stock", help="dumpctl's path, or stock")
    parser.add_argument("--timeout", type=float, default=30)
    options = parser.parse_args()
    if os.geteuid() != 0:
        print("a private pid namespace takes root")
        return SKIPPED
    options.target = os.path.abspath(options.target)
    criu = dumpers.stock()
    with tempfile.TemporaryDirectory(prefix="dumpctl-external-") as directory:
        os.chmod(directory, 0o755)
        return sandbox.run_inside(lambda: run(options, criu, directory), options.timeout + 5)


if __name__ == "__main__":
    sys.exit(main())
