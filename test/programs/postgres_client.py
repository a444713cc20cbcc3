"""A client of PostgreSQL: as much of its protocol (version 3.0) as text queries take."""

import socket
import struct


class PostgresError(OSError):
    pass


class PostgresClient:
    """A session over TCP. What is sent can be asked for later, so that it waits meanwhile."""

    def __init__(self, host, port, user="postgres"):
        self._socket = socket.create_connection((host, port), timeout=20)
        self._stream = self._socket.makefile("rb")
        self.notices = []
        names = b"".join(name.encode() + b"\0" for name in ("user", user, "database", "postgres"))
        body = struct.pack("!I", 3 << 16) + names + b"\0"
        self._socket.sendall(struct.pack("!I", len(body) + 4) + body)
        self.result()

    def send(self, query):
        text = query.encode() + b"\0"
        self._socket.sendall(b"Q" + struct.pack("!I", len(text) + 4) + text)

    def result(self):
        """The rows of what was sent last, each a list of texts."""
        rows, error = [], None
        while True:
            kind, body = self._message()
            if kind == b"D":
                rows.append(self._row(body))
            elif kind == b"E":
                error = body.replace(b"\0", b" ").decode()
            elif kind == b"A":
                self._hear(body)
            elif kind == b"Z":
                if error:
                    raise PostgresError(error)
                return rows

    def ask(self, query):
        self.send(query)
        return self.result()

    def _message(self):
        head = self._stream.read(5)
        if len(head) < 5:
            raise PostgresError("the server has ended the connection")
        (size,) = struct.unpack("!I", head[1:])
        return head[:1], self._stream.read(size - 4)

    def _hear(self, body):
        channel, text = body[4:].split(b"\0")[:2]
        self.notices.append((channel.decode(), text.decode()))

    @staticmethod
    def _row(body):
        (count,), at, row = struct.unpack("!H", body[:2]), 2, []
        for _ in range(count):
            (size,) = struct.unpack("!i", body[at : at + 4])
            at += 4
            row.append(None if size < 0 else body[at : at + size].decode())
            at += max(size, 0)
        return row
