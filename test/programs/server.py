"""What every server of run_server.py has, and what its clients need."""

import os
import socket
import time

import target_process


def expect_equal(expected, actual, what):
    if expected != actual:
        raise target_process.TargetFailure(f"{what}: expected {expected!r}, got {actual!r}")


def connect_to_read_little(address):
    """A connection that takes little before it is read: of what is longer, its server waits."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    connection.settimeout(20)
    connection.connect(address)
    return connection


def connections_to_accept():
    """How many wait in all listening sockets of this network."""
    waiting = 0
    for name in ("tcp", "tcp6"):
        with open(f"/proc/net/{name}") as sockets:
            rows = [line.split() for line in sockets.readlines()[1:]]
        listening = [row for row in rows if row[3] == "0A"]
        waiting += sum(int(row[4].split(":")[1], 16) for row in listening)
    return waiting


class Server(target_process.Target):
    """A server and its clients. What begin() begins is in the midst of it when it is dumped."""

    program = None  # its path
    options = ()  # of the dump, and of the restore

    def __init__(self, reaper, work_dir, arguments, deadline):
        super().__init__(reaper, self.program, work_dir)
        self.reaper = reaper
        self.work_dir = work_dir
        self.arguments = arguments
        self.deadline = deadline

    def start(self):
        """Starts the server; returns when it listens."""
        raise NotImplementedError

    def begin(self):
        raise NotImplementedError

    def meanwhile(self):
        """What the clients do when the server is not there."""

    def check(self):
        raise NotImplementedError

    def end(self):
        """Lets the server end by itself, and expects that it does."""
        raise NotImplementedError

    def launch(self, argv, environment=()):
        with open(self.path("status"), "ab") as status:
            self.pid = self.reaper.start(
                argv,
                cwd=self.work_dir,
                stdout=status.fileno(),
                env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": "/", **dict(environment)},
            )

    def wait_accepted(self):
        """Connections that are not accepted yet are not dumped."""
        self.wait_until(lambda: connections_to_accept() == 0, "accept")

    def path(self, name):
        return os.path.join(self.work_dir, name)

    def write(self, name, text):
        with open(self.path(name), "w") as file:
            file.write(text)

    def read(self, name):
        with open(self.path(name)) as file:
            return file.read()

    def wait_until(self, condition, what):
        while not condition():
            if time.monotonic() > self.deadline:
                raise target_process.TargetFailure(f"in vain waited for {what}")
            time.sleep(0.005)

    def expect_end(self, code=0):
        expect_equal(code, self.reaper.wait(self.pid, self.deadline), "how the server ended")
