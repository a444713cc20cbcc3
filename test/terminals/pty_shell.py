"""A session on a pseudo-terminal, whose leader starts commands as a shell does: each in a process
group of its own, in the foreground, with the terminal as its stdin."""

import fcntl
import os
import re
import signal
import struct
import termios
import time
import traceback

ROWS, COLUMNS = 44, 111


def _close(fd):
    try:
        os.close(fd)
    except OSError:
        pass


class PtyShell:
    """The caller holds the master. Everything ends with the caller's pid namespace."""

    def __init__(self, rows=ROWS, columns=COLUMNS):
        self.master, self._slave = os.openpty()
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))
        os.set_blocking(self.master, False)
        slave = os.fstat(self._slave)
        self.external = f"tty[{slave.st_rdev:x}:{slave.st_dev:x}]"
        self._ended, self._tell = os.pipe()
        os.set_blocking(self._ended, False)
        self._told = ""
        self._heard = b""

    def run(self, argv, cwd=None, status=None, env=None, leads=False, handed=None):
        """Starts a command, whose stdout goes to the file `status`, if any. Returns its pid.

        With `leads` it is the session's leader by itself; as descriptor `handed`, if any, it has
        the terminal besides.
        """
        pids, tell = os.pipe()
        leader = os.fork()
        if leader == 0:
            try:
                os.setsid()
                fcntl.ioctl(self._slave, termios.TIOCSCTTY, 0)
                job = 0 if leads else os.fork()
                if job == 0:
                    os.write(tell, b"%d\n" % os.getpid())
                    self._exec(argv, cwd, status, env, leads, handed)
                self._lead()
            except BaseException:
                traceback.print_exc()
            os._exit(127)
        os.close(tell)
        os.close(self._slave)
        self.leader = leader
        return int(os.read(pids, 32))

    def _exec(self, argv, cwd, status, env, leads, handed):
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        if not leads:
            os.setpgid(0, 0)
            os.tcsetpgrp(self._slave, os.getpid())
        if cwd:
            os.chdir(cwd)
        os.dup2(self._slave, 0)
        out = os.open(status, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666) if status else self._slave
        os.dup2(out, 1)
        os.dup2(self._slave, 2)
        if handed is not None:
            os.dup2(self._slave, handed)
        for fd in range(3, 256):
            if fd != handed:
                _close(fd)
        for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGTTOU):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        os.execve(argv[0], argv, os.environ if env is None else env)

    def _lead(self):
        """Waits for the command and tells how it ended; stays, as its session ends with it."""
        for fd in (self.master, 0, 1):
            os.close(fd)
        while True:
            try:
                pid, status = os.wait()
                os.write(self._tell, b"%d %d\n" % (pid, os.waitstatus_to_exitcode(status)))
            except ChildProcessError:
                time.sleep(0.01)

    def code_of(self, pid, deadline):
        """How a command ended, or None."""
        while time.monotonic() < deadline:
            try:
                self._told += os.read(self._ended, 4096).decode()
            except BlockingIOError:
                pass
            code = re.search(rf"^{pid} (-?\d+)$", self._told, re.MULTILINE)
            if code:
                return int(code.group(1))
            self.hear()
            time.sleep(0.002)
        return None

    def type(self, text):
        os.write(self.master, text.encode())

    def hear(self):
        """All that was printed so far."""
        try:
            while chunk := os.read(self.master, 65536):
                self._heard += chunk
        except (BlockingIOError, OSError):  # EIO: nobody has the other end
            pass
        return self._heard.decode(errors="replace")

    def leave(self):
        """Ends the session: its terminal is hung up."""
        os.close(self.master)
        try:
            os.kill(self.leader, signal.SIGKILL)
        except ProcessLookupError:  # it was the command that has ended
            pass
