"""Page servers that are not there, say nothing, end early, or are given what would be mixed up."""

import os
import socket
import struct
import threading

from registry import case
from scene import require

PORT = 4243  # of a network namespace of its own
PLACE = ("--page-server", "--address", "127.0.0.1", "--port", str(PORT))


class Server(threading.Thread):
    """Accepts one connection, and has serve(connection) see to it."""

    def __init__(self, serve):
        super().__init__(daemon=True)
        self._serve = serve
        self._listener = socket.create_server(("127.0.0.1", PORT))
        self.start()

    def run(self):
        connection, _ = self._listener.accept()
        self._listener.close()
        with connection:
            self._serve(connection)


def _read_all(connection, limit=1 << 40):
    total = 0
    while total < limit and (got := connection.recv(1 << 16)):
        total += len(got)


@case
def page_server_that_is_not_there(scene):
    witness = scene.witness()
    scene.expect_failure(scene.dump(witness.pid, *PLACE), "Peer", "127.0.0.1 port 4243", "refused")
    scene.expect_images({})
    witness.expect_unharmed()


@case
def page_server_that_says_nothing(scene):
    witness = scene.witness()
    Server(_read_all)
    result = scene.dump(witness.pid, *PLACE, "--timeout", "1")
    scene.expect_failure(result, "Timeout", "did not answer for 1s", "--timeout")
    scene.expect_images({})
    witness.expect_unharmed()


@case
def page_server_that_ends_early(scene):
    witness = scene.witness("poll", "big")

    def serve(connection):
        connection.recv(24)
        connection.sendall(b"\0")
        _read_all(connection, 100000)

    Server(serve)
    scene.expect_failure(scene.dump(witness.pid, *PLACE), "Peer", "page server 127.0.0.1")
    scene.expect_images({})
    witness.expect_unharmed()


@case
def page_server_that_has_failed(scene):
    witness = scene.witness()

    def serve(connection):
        connection.recv(24)
        connection.sendall(b"\0")
        got = b""
        while got[-24:-20] != struct.pack("<I", 0x1023):
            got = (got + connection.recv(1 << 16))[-24:]
        connection.sendall(struct.pack("<i", -1))

    Server(serve)
    scene.expect_failure(scene.dump(witness.pid, *PLACE), "Peer", "went wrong (-1)")
    scene.expect_images({})
    witness.expect_unharmed()


@case
def page_server_and_pages_of_an_earlier_dump(scene):
    witness = scene.witness()
    scene.expect_success(scene.dump(witness.pid, "-R"))
    before = sorted(os.listdir(scene.images))
    scene.expect_failure(scene.dump(witness.pid, *PLACE), "ImagesDir", ".img", "another -D")
    serving = scene.run(scene.dumpctl, "page-server", "-D", scene.images, "--port", str(PORT))
    scene.expect_failure(serving, "ImagesDir", ".img", "another -D")
    require(sorted(os.listdir(scene.images)) == before, "images are gone")
    for options in (("--page-server",), ("--page-server", "--port", "1"),
                    (*PLACE[:2], "localhost", *PLACE[3:])):
        images = scene.make_directory(f"other-{len(options)}")
        scene.expect_failure(scene.dump(witness.pid, *options, images=images), "Usage", "--")
    witness.expect_unharmed()
