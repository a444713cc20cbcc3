#!/usr/bin/python3
"""Dumps a target whose memory goes to a page server, and restores it from what both have kept.

  run_page_server.py --dumper PROGRAM|trixie|sid --server PROGRAM|trixie|sid TARGET

A suite stands for its stock criu. The restore is by stock of trixie; pagemaps of sid's page server
take sid's, for 4.1 does not read how 4.2 counts pages.
"""

import functools
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import dumper as dumpers
import one_target
import sandbox

SUITES = ("trixie", "sid")
PORT = 4242  # of a network namespace of its own


def start_server(program, reaper, directory, deadline, *options):
    log = os.open(os.path.join(directory, "server.out"), os.O_WRONLY | os.O_CREAT, 0o600)
    pid = reaper.start([program, "page-server", "-D", directory, "--address", "127.0.0.1",
                        "--port", str(PORT), *options], stdout=log)
    os.close(log)
    while not sandbox.listens(PORT):
        if reaper.wait(pid, time.monotonic() + 0.01) is not None or time.monotonic() > deadline:
            raise dumpers.DumpFailure("the page server does not listen")
    return pid


def dump(options, start, dumper, images, kept):
    target, deadline = start.target, start.deadline
    server = start_server(options.server, start.reaper, kept, deadline)
    dumper.dump(target.pid, images, deadline, leave_running=options.leave_running,
                options=["--page-server", "--address", "127.0.0.1", "--port", str(PORT),
                         *(["--json", "--snapshot=cow"] if options.leave_running else [])])
    code = start.reaper.wait(server, deadline)
    if code != 0:
        raise dumpers.DumpFailure(f"the page server ended with {code}")
    if options.leave_running:
        dumpers.expect_while_running(images, "pages_by_copy")
        for pid in target.tree():
            os.kill(pid, signal.SIGKILL)
    if any(name.startswith("page") for name in os.listdir(images)):
        raise dumpers.DumpFailure(f"pages beside the images: {os.listdir(images)}")
    for name in os.listdir(kept):
        if name.endswith(".img"):
            os.rename(os.path.join(kept, name), os.path.join(images, name))
    return images


def run(options, directory):
    return one_target.dumped_elsewhere(options, directory, functools.partial(dump, options))


def main():
    parser = one_target.parser(__doc__)
    parser.add_argument("--server", required=True, help="dumpctl's path, or a suite")
    parser.add_argument("--leave-running", action="store_true",
                        help="of what runs on the memory is sent from copies")
    options = parser.parse_args()
    restorer = "sid" if options.server == "sid" else "trixie"
    if os.geteuid() == 0:
        try:
            options.stock = dumpers.stock(suite=restorer)
            for role in ("dumper", "server"):
                if getattr(options, role) in SUITES:
                    setattr(options, role, dumpers.stock(suite=getattr(options, role)))
        except subprocess.CalledProcessError:
            # Not every machine has a mirror of sid; trixie's is there, or other tests say so.
            print("there is no stock criu of that suite")
            return one_target.SKIPPED
    return one_target.main(options, "page-server", run)


if __name__ == "__main__":
    sys.exit(main())
