#!/usr/bin/python3
"""Dumps a target to an image streamer, which keeps its images, and restores it from them.

  run_stream.py [--leave-running] --dumper PROGRAM|stock TARGET

That stock's dumps come through our streamer as ours do shows that it does what criu's does.
"""

import functools
import os
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import dumper as dumpers
import one_target
from streamer import Streamer


def dump(leave_running, start, dumper, images, kept):
    streamer = Streamer(images, kept)
    pids = start.target.tree()
    dumper.dump(start.target.pid, images, start.deadline, leave_running=leave_running,
                options=["--stream", *(["--json", "--snapshot=cow"] if leave_running else [])])
    streamer.join(10)
    if leave_running:
        dumpers.expect_while_running(images, "pages_by_copy")
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
    left = [name for name in os.listdir(images) if name.endswith(".img")]
    if left or streamer.order[-1:] != ["inventory.img"]:
        raise dumpers.DumpFailure(f"images beside the stream: {left}, {streamer.order}")
    return kept


def run(options, directory):
    how = functools.partial(dump, options.leave_running)
    return one_target.dumped_elsewhere(options, directory, how)


def main():
    parser = one_target.parser(__doc__)
    parser.add_argument("--leave-running", action="store_true",
                        help="the memory of what runs on comes from copies")
    return one_target.main(parser.parse_args(), "stream", run, stock="criu")


if __name__ == "__main__":
    sys.exit(main())
