"""A private pid, mount, IPC and network namespace whose init is the test itself.

Inside, pids are free for a restore to take, every orphan becomes ours to reap, and the end of the
test ends every process that it started. Its network is a loopback device. Nothing of it is seen
outside.
"""

import ctypes
import fcntl
import os
import signal
import socket
import struct
import sys
import time
import traceback

_CLONE_NEWNS = 0x00020000
_CLONE_NEWPID = 0x20000000
_CLONE_NEWIPC = 0x08000000
_CLONE_NEWNET = 0x40000000
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 1
_MS_REC = 0x4000
_MS_PRIVATE = 0x40000

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result, what):
    if result != 0:
        errno = ctypes.get_errno()
        raise OSError(errno, f"{what}: {os.strerror(errno)}")


def mount(source, target, kind, flags=0):
    encode = lambda text: text.encode() if text else None
    _check(_libc.mount(encode(source), encode(target), encode(kind), flags, None), f"mount {target}")


def run_inside(test, timeout):
    """Runs test() as the init of a private namespace; returns its exit status.

    124 if it did not end within `timeout` seconds. By then, or when test() returns, all its
    processes are gone: the kernel kills what is left in a pid namespace without an init.
    """
    kinds = _CLONE_NEWPID | _CLONE_NEWNS | _CLONE_NEWIPC | _CLONE_NEWNET
    _check(_libc.unshare(kinds), "unshare")
    sys.stdout.flush()
    init = os.fork()
    if init == 0:
        os._exit(_be_init(test))
    pidfd = os.pidfd_open(init)
    deadline = time.monotonic() + timeout
    timed_out = not _readable(pidfd, deadline)
    if timed_out:
        os.kill(init, signal.SIGKILL)
    _, status = os.waitpid(init, 0)
    return 124 if timed_out else os.waitstatus_to_exitcode(status)


def _readable(fd, deadline):
    import select

    poller = select.poll()
    poller.register(fd, select.POLLIN)
    return bool(poller.poll(max(0, deadline - time.monotonic()) * 1000))


def _be_init(test):
    try:
        mount(None, "/", None, _MS_REC | _MS_PRIVATE)
        mount("proc", "/proc", "proc")
        # A private /run: stock criu keeps what it learnt about the kernel there.
        mount("tmpfs", "/run", "tmpfs")
        # Pseudo-terminals of its own, so that their numbers are free for a restore to take.
        mount("devpts", "/dev/pts", "devpts")
        set_loopback(True)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
        status = test()
    except BaseException:  # An init must not return into its parent's code.
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    return status


def set_loopback(up):
    """While it is down, whatever is sent there is lost."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sh22x", b"lo", _IFF_UP if up else 0)
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, request)


def listens(port):
    """Whether somebody does, at that port of TCP. What is left of connections (TIME_WAIT) has it, too."""
    listening = "0A"
    with open("/proc/net/tcp") as table:
        rows = [row.split() for row in list(table)[1:]]
    return any(row[1].endswith(f":{port:04X}") and row[3] == listening for row in rows)


class Reaper:
    """Starts processes, reaps whatever ends, and knows how each of them ended."""

    def __init__(self):
        self._ended = {}

    def start(self, argv, cwd=None, stdout=None, env=None):
        """Starts argv in a session of its own, reading /dev/null, writing to the open file stdout."""
        pid = os.fork()
        if pid != 0:
            return pid
        try:
            os.setsid()
            if cwd:
                os.chdir(cwd)
            null = os.open("/dev/null", os.O_RDWR)
            os.dup2(null, 0)
            for fd in (1, 2):
                os.dup2(null if stdout is None else stdout, fd)
            os.closerange(3, 4096)
            # Python ignores these, and what is ignored stays so over exec.
            for number in (signal.SIGPIPE, signal.SIGXFSZ):
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, [])
            os.execve(argv[0], argv, os.environ if env is None else env)
        except BaseException:
            traceback.print_exc()
        os._exit(127)

    def wait(self, pid, deadline):
        """The exit code of pid (negative: the signal that killed it), None if it still runs."""
        while True:
            self._reap()
            if pid in self._ended:
                return self._ended[pid]
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                return None
            # Bounded, as a SIGCHLD can be taken by a reap that came before it.
            signal.sigtimedwait([signal.SIGCHLD], min(remaining, 0.05))

    def forget(self, pid):
        """Another process is about to take pid: what is known of its last bearer is void."""
        self._ended.pop(pid, None)

    def _reap(self):
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._ended[pid] = os.waitstatus_to_exitcode(status)
