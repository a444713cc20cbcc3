"""What every server of run_server.py has, and what its clients need."""

import os
import time

import target_process


def expect_equal(expected, actual, what):
    if expected != actual:
        raise target_process.TargetFailure(f"{what}: expected {expected!r}, got {actual!r}")


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
