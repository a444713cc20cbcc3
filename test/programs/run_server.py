#!/usr/bin/python3
"""Runs a real server through a dump by dumpctl and a restore by stock criu, beneath its clients.

  run_server.py --dumpctl PROGRAM --mode restore|leave-running [--timeout S] SERVER [ARGUMENT]...

SERVER is one of the files NAME_server.py, a subclass of Server. The clients are no part of the
dump: they are this process, on the network of the server, and what they have begun goes on.

Exit status: 0 passed, 1 failed (with all logs), 77 skipped, 124 timeout.
"""

import argparse
import importlib
import os
import shutil
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../restore")]
import dumper as dumpers
import run_program
import sandbox
import target_process

SKIPPED = 77


def run(options, kind, criu, directory):
    images, work_dir = os.path.join(directory, "images"), os.path.join(directory, "work")
    os.mkdir(images)
    os.mkdir(work_dir)
    os.chmod(work_dir, 0o1777)
    deadline = time.monotonic() + options.timeout
    reaper = sandbox.Reaper()
    dumper = dumpers.Dumper(reaper, options.dumpctl, criu)
    program = kind(reaper, work_dir, options.arguments, deadline)
    options.with_options = program.options
    try:
        program.start()
        program.begin()
        program.wait_accepted()
        if options.mode == "restore":
            pids = program.tree()
            dumper.dump(program.pid, images, deadline, options=program.options)
            program.wait_gone(pids, deadline)
            program.meanwhile()
            dumper.restore(images, deadline, options=program.options)
        else:
            run_program.dump_beside(program, dumper, images, deadline, options)
            program.meanwhile()
        program.check()
        program.end()
    except (target_process.TargetFailure, dumpers.DumpFailure, OSError) as failure:
        print(f"{failure!r}\n--- the server printed:\n{program.status()}")
        print(dumpers.log_tails(images))
        return 1
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dumpctl", required=True, help="dumpctl's path, or stock")
    parser.add_argument("--mode", required=True, choices=["restore", "leave-running"])
    parser.add_argument("--timeout", type=float, default=60)
    parser.add_argument("--keep", help="leave images and logs in this directory")
    parser.add_argument("server")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    options.blocked_in = None
    if os.geteuid() != 0:
        print("SKIP: a private pid namespace takes root")
        return SKIPPED
    kind = importlib.import_module(f"{options.server}_server").SERVER
    if not os.access(kind.program, os.X_OK):
        print(f"SKIP: there is no {kind.program}")
        return SKIPPED
    criu = dumpers.stock()
    directory = options.keep or tempfile.mkdtemp(prefix="dumpctl-server-")
    os.makedirs(directory, exist_ok=True)
    # Servers give up root.
    os.chmod(directory, 0o755)
    try:
        return sandbox.run_inside(lambda: run(options, kind, criu, directory), options.timeout + 5)
    finally:
        if not options.keep:
            shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
