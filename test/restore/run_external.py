#!/usr/bin/python3
"""Dumps target_files_external with --external, and restores it with other files in their places.

  run_external.py --dumper PROGRAM TARGET
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import dumper as dumpers
import one_target
import target_process

# The target's descriptors, and what is given in their places.
GIVEN = {20: "other", 21: "/dev/kmsg"}


def external(pid, number):
    """How both sides call the file of a descriptor."""
    with open(f"/proc/{pid}/fdinfo/{number}") as info:
        mount_id = next(int(line.split()[1]) for line in info if line.startswith("mnt_id:"))
    return f"file[{mount_id:x}:{os.stat(f'/proc/{pid}/fd/{number}').st_ino:x}]"


def run(options, directory):
    images = os.path.join(directory, "images")
    os.mkdir(images)
    start = one_target.Start(options, directory)
    target, reaper, deadline = start.target, start.reaper, start.deadline
    dumper = dumpers.Dumper(reaper, options.dumper, options.stock)
    try:
        start.run()
        names = {number: external(target.pid, number) for number in GIVEN}
        dumper.dump(target.pid, images, deadline,
                    options=[f"--external={name}" for name in names.values()])
        target.wait_gone([target.pid], deadline)
        # A shell opens what the restore inherits.
        opened = " ".join(f"{number}<>{os.path.join(start.work_dir, path)}" for number, path in GIVEN.items())
        command = [options.stock, "restore", "-d", "-D", images, "-v4", "-o", "restore.log"]
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
    return one_target.main(one_target.parser(__doc__).parse_args(), "external", run, stock="criu")


if __name__ == "__main__":
    sys.exit(main())
