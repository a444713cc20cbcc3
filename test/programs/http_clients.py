"""Clients of an HTTP server that counts the requests of each connection and says it.

The server answers /count with the connection's count, /add?N with the sum of all numbers it was
told by whoever, /slow with numbers, one a line, which it makes as they are read, and /stop with its
end.
"""

import http.client

import server
from server import expect_equal

PORT = 8090
CONNECTIONS = 20
NUMBERS = 1_000_000


class HttpServer(server.Server):
    options = ("--tcp-established", "--network-lock=nftables")

    def connect(self):
        connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=20)
        connection.connect()
        return connection

    @staticmethod
    def ask(connection, path):
        connection.request("GET", path)
        answer = connection.getresponse()
        text = answer.read().decode()
        expect_equal(200, answer.status, path)
        return text

    def begin(self):
        self.kept = [self.connect() for _ in range(CONNECTIONS)]
        for connection in self.kept:
            expect_equal("1", self.ask(connection, "/count"), "the first answer")
        expect_equal("5", self.ask(self.kept[0], "/add?5"), "a sum")
        # It is read no further than this: the server waits.
        self.slow = http.client.HTTPConnection("127.0.0.1", PORT)
        self.slow.sock = server.connect_to_read_little(("127.0.0.1", PORT))
        self.slow.request("GET", "/slow")
        self.numbers = self.slow.getresponse()
        self.text = self.numbers.read(10_000)
        # Of another one the server knows half a request.
        self.half = self.connect()
        self.half.sock.sendall(b"GET /count HTTP/1.1\r\nHos")

    def meanwhile(self):
        self.kept[1].request("GET", "/count")
        self.half.sock.sendall(b"t: here\r\nConne")

    def check(self):
        expect_equal("2", self.kept[1].getresponse().read().decode(), "what was asked meanwhile")
        for connection in self.kept[2:]:
            expect_equal("2", self.ask(connection, "/count"), "the count of a connection")
        expect_equal("12", self.ask(self.kept[3], "/add?7"), "the sum")
        self.half.sock.sendall(b"ction: close\r\n\r\n")
        answer = http.client.HTTPResponse(self.half.sock)
        answer.begin()
        expect_equal("1", answer.read().decode(), "the answer to half a request")
        self.text += self.numbers.read()
        expected = "".join(f"{number}\n" for number in range(NUMBERS))
        expect_equal(True, self.text.decode() == expected, "that the numbers are all")
        expect_equal("1", self.ask(self.connect(), "/count"), "a new connection")

    def end(self):
        """It first looks at what else it has."""
        expect_equal("fine", self.ask(self.kept[0], "/stop"), "the server's own state")
        for connection in (*self.kept, self.slow):
            connection.close()
        self.expect_end()
