#!/usr/bin/python3
"""Dumps a target to an image streamer, which keeps its images, and restores it from them.

  run_stream.py --dumper PROGRAM|stock TARGET

The streamer is ours: it does what criu-image-streamer does at its socket.
"""

import os
import socket
import struct
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import dumper as dumpers
import one_target
import target_process


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


def run(options, directory):
    images, kept = (os.path.join(directory, name) for name in ("images", "kept"))
    os.mkdir(images)
    os.mkdir(kept)
    start = one_target.Start(options, directory)
    target, reaper, deadline = start.target, start.reaper, start.deadline
    dumper = dumpers.Dumper(reaper, options.dumper, options.stock)
    try:
        start.run()
        streamer = Streamer(images, kept)
        pids = target.tree()
        dumper.dump(target.pid, images, deadline, options=["--stream"])
        streamer.join(10)
        target.wait_gone(pids, deadline)
        left = [name for name in os.listdir(images) if name.endswith(".img")]
        if left or options.dumper != options.stock and streamer.order[-1] != "inventory.img":
            raise dumpers.DumpFailure(f"images beside the stream: {left}, {streamer.order}")
        dumper.restore(kept, deadline)
        target.go("restored")
        target.check_verdict(deadline)
    except (target_process.TargetFailure, dumpers.DumpFailure) as failure:
        print(f"{failure}\n--- target printed:\n{target.status()}")
        print(dumpers.log_tails(images), dumpers.log_tails(kept))
        return 1
    return 0


def main():
    return one_target.main(one_target.parser(__doc__).parse_args(), "stream", run, stock="criu")


if __name__ == "__main__":
    sys.exit(main())
