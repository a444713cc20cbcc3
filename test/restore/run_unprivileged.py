#!/usr/bin/python3
"""Somebody who is not root dumps a process of their own, and restores it, with --unprivileged.

  run_unprivileged.py --dumper PROGRAM TARGET
"""

import argparse
import os
import shutil
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import dumper as dumpers
import sandbox
import target_process

SKIPPED = 77
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


def run(options, criu_root, directory):
    reaper = sandbox.Reaper()
    deadline = time.monotonic() + options.timeout
    os.umask(0)  # what the target prints, somebody opens again
    place = lambda name: os.path.join(directory, name)
    for name in ("work", "images"):
        os.mkdir(place(name))
    os.chown(place("images"), SOMEBODY, SOMEBODY)
    # Copies: whoever runs this can reach the programs where they are, but maybe not somebody.
    for part in ("usr/lib64", "usr/lib/x86_64-linux-gnu", "usr/sbin"):
        shutil.copytree(os.path.join(criu_root, part), os.path.join(place("criu"), part),
                        symlinks=True)
    for program in (options.target, options.dumper):
        shutil.copy(program, directory)
    library = f"{place('criu')}/usr/lib"
    criu = (f"{library}64/ld-linux-x86-64.so.2 --library-path {library}/x86_64-linux-gnu"
            f" {place('criu')}/usr/sbin/criu")
    target = target_process.Target(
        reaper, write_wrapper(place("start"), place(os.path.basename(options.target))),
        place("work"))
    # What a restore drops of the bounding set takes CAP_SETPCAP.
    dumper = dumpers.Dumper(
        reaper,
        write_wrapper(place("dump"), place(os.path.basename(options.dumper)),
                      ["checkpoint_restore"]),
        write_wrapper(place("restore"), criu, ["checkpoint_restore", "setpcap"]))
    try:
        target.start()
        reason = target.wait_ready(deadline)
        if reason is not None:
            print(reason)
            return SKIPPED
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
    criu_root = dumpers.stock("root")
    directory = tempfile.mkdtemp(prefix="dumpctl-unprivileged-")
    os.chmod(directory, 0o755)
    try:
        return sandbox.run_inside(lambda: run(options, criu_root, directory), options.timeout + 5)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
