"""An image streamer of ours: it does what criu-image-streamer does at its socket."""

import os
import socket
import struct
import threading
import time


class Streamer(threading.Thread):
    """Keeps the images that come through the socket of `directory` in `kept`, in `order`; or none
    of them, where that is None. `pause`: seconds before it looks what else a pipe has."""

    def __init__(self, directory, kept, pause=0):
        super().__init__(daemon=True)
        self._kept = kept
        self._pause = pause
        self._mutex = threading.Lock()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(os.path.join(directory, "streamer-capture.sock"))
        self._listener.listen()
        self.order = []
        self.taken = 0  # bytes
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
        to = os.devnull if self._kept is None else os.path.join(self._kept, name)
        with open(pipe, "rb", buffering=0) as source, open(to, "wb") as image:
            while piece := source.read(1 << 16):
                image.write(piece)
                with self._mutex:
                    self.taken += len(piece)
                time.sleep(self._pause)
