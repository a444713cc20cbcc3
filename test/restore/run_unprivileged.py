#!/usr/bin/python3
"""Somebody who is not root dumps a process of their own, and restores it, with --unprivileged.

  run_unprivileged.py --dumper PROGRAM TARGET
"""

import os
import shutil
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import dumper as dumpers
import one_target
import target_process

SOMEBODY = 65534


def write_wrapper(path, command, capabilities=()):
    """A program that runs `command` as somebody with these capabilities alone."""
    given = ",".join(f"+{name}" for name in capabilities)
    rights = f"--inh-caps {given} --ambient-caps {given} --bounding-set -all,{given}"
    with open(path, "w") as file:
        file.write(f"#!/bin/sh\nexport CRIU_FAULT=130\n"
                   f"exec setpriv --reuid {SOMEBODY} --regid {SOMEBODY} --clear-groups"
                   f" {rights if given else ''} {command} \"$@\"\n")
    os.chmod(path, 0o755)
    return path


def run(options, directory):
    os.umask(0)  # what the target prints, somebody opens again
    place = lambda name: os.path.join(directory, name)
    os.mkdir(place("images"))
    os.chown(place("images"), SOMEBODY, SOMEBODY)
    # Copies: whoever runs this can reach the programs where they are, but maybe not somebody.
    for part in ("usr/lib64", "usr/lib/x86_64-linux-gnu", "usr/sbin"):
        shutil.copytree(os.path.join(options.stock, part), os.path.join(place("criu"), part),
                        symlinks=True)
    for program in (options.target, options.dumper):
        shutil.copy(program, directory)
    library = f"{place('criu')}/usr/lib"
    criu = (f"{library}64/ld-linux-x86-64.so.2 --library-path {library}/x86_64-linux-gnu"
            f" {place('criu')}/usr/sbin/criu")
    start = one_target.Start(
        options, directory,
        program=write_wrapper(place("start"), place(os.path.basename(options.target))))
    target, deadline = start.target, start.deadline
    # What a restore drops of the bounding set takes CAP_SETPCAP.
    dumper = dumpers.Dumper(
        start.reaper,
        write_wrapper(place("dump"), place(os.path.basename(options.dumper)),
                      ["checkpoint_restore"]),
        write_wrapper(place("restore"), criu, ["checkpoint_restore", "setpcap"]))
    try:
        start.run()
        dumper.dump(target.pid, place("images"), deadline, options=["--unprivileged"])
        target.wait_gone([target.pid], deadline)
        dumper.restore(place("images"), deadline, options=["--unprivileged"])
        target.go("restored")
        target.check_verdict(deadline)
    except (target_process.TargetFailure, dumpers.DumpFailure) as failure:
        print(f"{failure}\n--- target printed:\n{target.status()}{dumpers.log_tails(place('images'))}")
        return 1
    return 0


def main():
    return one_target.main(one_target.parser(__doc__).parse_args(), "unprivileged", run, stock="root")


if __name__ == "__main__":
    sys.exit(main())
