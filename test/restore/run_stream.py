#!/usr/bin/python3
"""Dumps a target to an image streamer, which keeps its images, and restores it from them.

  run_stream.py [--leave-running] --dumper PROGRAM|stock TARGET

The streamer is ours: it does what criu-image-streamer does at its socket. That stock's dumps come
through it as ours do shows that it does.
"""

import functools
import os
import signal
import socket
import struct
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import dumper as dumpers
import one_target


class Streamer(threading.Thread):
    """Keeps the images that come through the socket of `directory` in `kept`, in `order`."""

    def __init__(self, directory, kept):
        super().__init__(daemon=True)
        self._kept = kept
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(os.path.join(directory, "streamer-capture.sock"))
        self._listener.listen()
        self.order = []
        self.start()

    def run(self):
        connection, _ = self._listener.accept()
        copies = []
        while size := connection.recv(4, socket.MSG_WAITALL):
            message = connection.recv(struct.unpack("<I", size)[0], socket.MSG_WAITALL)
            assert message[0] == 0x0A and message[1] == len(message) - 2, message
            name = message[2:].decode()
            _, (pipe,), _, _ = socket.recv_fds(connection, 1, 1)
            self.order.append(name)
            copies.append(threading.Thread(target=self._copy, args=(pipe, name)))
            copies[-1].start()
        for copy in copies:
            copy.join()

    def _copy(self, pipe, name):
        with open(pipe, "rb") as source, open(os.path.join(self._kept, name), "wb") as image:
            while piece := source.read(1 << 16):
                image.write(piece)


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
