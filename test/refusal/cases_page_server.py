"""Page servers that are not there, say nothing, end early, or are given what would be mixed up."""

import os
import re
import signal
import socket
import struct
import subprocess
import threading
import time

import sandbox
from proc_facts import state_of
from registry import case, case_each
from scene import PATIENCE, require, wait_until

PORT = 4243  # of a network namespace of its own
TCP_REPAIR = 19
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


def _take_all(connection):
    """What a dump of one process sends, up to where it waits for the last answer."""
    connection.recv(24)
    connection.sendall(b"\0")
    got = b""
    while got[-24:-20] != struct.pack("<I", 0x1023):
        got = (got + connection.recv(1 << 16))[-24:]


def start_page_server(scene, images, *options, wrapper=()):
    """Of ours, at PLACE: its pid, once it listens."""
    pid = scene.start("/usr/bin/env", *wrapper, scene.dumpctl, "page-server", "-D", images,
                      *PLACE[1:], *options)
    wait_until(lambda: sandbox.listens(PORT), "the page server")
    return pid


@case
def page_server_that_is_not_there(scene):
    witness = scene.witness()
    scene.expect_failure(scene.dump(witness.pid, *PLACE), "Peer", "127.0.0.1 port 4243", "refused")
    scene.expect_images({})
    witness.expect_unharmed()


@case
def page_server_where_a_dump_was_killed(scene):
    """What that has left is not taken for what the server keeps, nor for somebody's images."""
    witness = scene.witness()
    killed = scene.dump(witness.pid, "-R", fault="commit=kill")
    require(killed.code == -9, f"it was to be killed: {killed}")
    left = os.listdir(scene.images)
    require("pages-1.img" in left and "inventory.img" not in left, left)
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
        _take_all(connection)
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


class _Daemon:
    """A page server of ours in the background, at a port that the kernel has chosen."""

    def __init__(self, scene, *options):
        self._scene = scene
        self.kept = scene.make_directory("kept")
        self.command = (scene.dumpctl, "page-server", "-D", self.kept, "--address", "127.0.0.1",
                        "--daemon", *options)
        started = scene.run(*self.command, "--pidfile", "pid")
        scene.expect_success(started)
        told = re.fullmatch(r"Listening at 127\.0\.0\.1 port (\d+)\.\n", started.out)
        require(told, f"no port is told: {started}")
        self.port = told[1]
        self.pid = int(self.read("pid"))

    def read(self, name):
        with open(os.path.join(self.kept, name)) as text:
            return text.read()

    def expect_end(self, code):
        ended = self._scene.reaper.wait(self.pid, time.monotonic() + PATIENCE)
        require(ended == code, f"the page server ended with {ended}")


@case
def page_server_in_the_background(scene):
    server = _Daemon(scene, "-v4")
    links = [os.readlink(f"/proc/{server.pid}/fd/{number}") for number in range(3)]
    require(links == ["/dev/null"] * 3, f"it holds its starter's {links}")
    require(os.getsid(server.pid) == server.pid, "it is in its starter's session")
    # What cannot start says so where it was started.
    scene.expect_failure(scene.run(*server.command), "ImagesDir", "another dump")
    other = scene.make_directory("other")
    scene.expect_failure(scene.run(*server.command, "-D", other, "--port", server.port), "Host",
                         "Address already in use")
    witness = scene.witness("poll", "big")
    scene.expect_success(scene.dump(witness.pid, "-R", *PLACE[:-1], server.port))
    server.expect_end(0)
    require(any(name.startswith("pages-") for name in os.listdir(server.kept)), "no pages came")
    require("Received" in server.read("page-server.log"), "its log does not say what came")
    witness.expect_unharmed()


@case
def page_server_in_the_background_says_why_it_ends(scene):
    server = _Daemon(scene)
    with socket.create_connection(("127.0.0.1", int(server.port))) as dump:
        dump.sendall(b"nonsense" * 4)
    server.expect_end(23)
    require("Error: the dump that sends pages sent" in server.read("page-server.log"),
            f"the log says {server.read('page-server.log')!r}")
    for option in ("--tls", "--ps-socket"):
        scene.expect_failure(scene.run(*server.command, option), "Usage",
                             f"{option} is not served by this version")


def _ask_soon():
    """Has the kernel miss peers after a second or two, not after hours."""
    for name in ("time", "intvl", "probes"):
        with open(f"/proc/sys/net/ipv4/tcp_keepalive_{name}", "w") as setting:
            setting.write("1")


def _is_connected(port):
    """Whether somebody's connection to there stands."""
    with open("/proc/net/tcp") as table:
        return re.search(rf" 0100007F:{int(port):04X} 01 ", table.read()) is not None


def _is_watched():
    """Whether nothing is under way to PORT, and who has sent it asks whether that is still there."""
    with open("/proc/net/tcp") as table:
        return re.search(rf" 0100007F:{PORT:04X} 01 0{{8}}:\w{{8}} 02:", table.read()) is not None


@case_each(("is_cut_off", "misses_an_answer", "starts_anew"))
def page_server_of_a_dump_whose_machine(scene, what):
    """It says nothing of its end, then or later; or that it knows of no connection, when asked."""
    _ask_soon()
    server = _Daemon(scene)
    if what == "misses_an_answer":
        os.kill(server.pid, signal.SIGSTOP)
    dump = socket.create_connection(("127.0.0.1", int(server.port)))
    dump.sendall(struct.pack("<IIQQ", 4, 0, 0, 0x1101))
    require(what == "misses_an_answer" or dump.recv(1) == b"\0", "it is not served")
    if what == "starts_anew":
        dump.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)  # it is closed without a word
        dump.close()
    else:
        sandbox.set_loopback(False)
    os.kill(server.pid, signal.SIGCONT)
    server.expect_end(23)
    require("Error: the dump that sends pages is lost" in server.read("page-server.log"),
            f"the log says {server.read('page-server.log')!r}")
    left = sorted(os.listdir(server.kept))
    require(left == ["page-server.log", "pid"], f"there is {left}")


@case
def page_server_waits_for_a_dump_that_is_stopped(scene):
    """For longer than for a machine that does not answer."""
    _ask_soon()
    server = _Daemon(scene)
    witness = scene.witness("poll", "big")

    def stop_for_long(dumpctl):
        os.kill(dumpctl, signal.SIGSTOP)
        time.sleep(3)
        require(_is_connected(server.port), "it was not connected")
        os.kill(dumpctl, signal.SIGCONT)

    result = scene.dump_stalled(witness.pid, "memory", stop_for_long, "-R", *PLACE[:-1], server.port)
    scene.expect_success(result)
    server.expect_end(0)
    witness.expect_unharmed()


@case
def page_server_whose_answer_nobody_reads(scene):
    """As with head -1, which has learnt the port: all is kept then."""
    witness = scene.witness("poll", "big")
    kept = scene.make_directory("kept")
    server = subprocess.Popen(
        (scene.dumpctl, "page-server", "-D", kept, "--address", "127.0.0.1"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGPIPE, signal.SIG_DFL),
    )
    told = server.stdout.readline()
    server.stdout.close()
    port = re.fullmatch(rb"Listening at 127\.0\.0\.1 port (\d+)\.\n", told)[1].decode()
    scene.expect_success(scene.dump(witness.pid, "-R", *PLACE[:-1], port))
    require(server.wait(PATIENCE) == 0, f"{server.returncode}: {server.stderr.read()}")
    require("pages-65537.img" in os.listdir(kept), os.listdir(kept))
    witness.expect_unharmed()


@case_each(("listening", "connected"))
def page_server_that_is_interrupted(scene, when):
    server = _Daemon(scene)
    dump = None
    if when == "connected":
        dump = socket.create_connection(("127.0.0.1", int(server.port)))
        dump.sendall(struct.pack("<IIQQ", 4, 0, 0, 0x1101))
        require(dump.recv(1) == b"\0", "it is not served")
    os.kill(server.pid, signal.SIGTERM)
    server.expect_end(-signal.SIGTERM)
    left = sorted(os.listdir(server.kept))
    require(left == ["page-server.log", "pid"], f"there is {left}")
    require("interrupted by SIGTERM: nothing was kept" in server.read("page-server.log"),
            f"the log says {server.read('page-server.log')!r}")


@case
def page_server_that_takes_long_to_keep_it_all(scene):
    """For longer than anything else may take: a disk may have much to write."""
    witness = scene.witness("poll", "big")

    def serve(connection):
        _take_all(connection)
        time.sleep(2.5)
        connection.sendall(struct.pack("<i", 0))

    Server(serve)
    scene.expect_success(scene.dump(witness.pid, *PLACE, "--timeout", "1"))
    witness.expect_gone()


@case_each(("interrupted", "cut_off"))
def page_server_that_does_not_say_that_it_has_it_all(scene, end):
    """It is waited for until somebody asks to end, or its machine does not answer."""
    _ask_soon()
    witness = scene.witness()
    has_all, is_over = threading.Event(), threading.Event()

    def serve(connection):
        _take_all(connection)
        has_all.set()
        is_over.wait()

    def act(dumpctl):
        require(has_all.wait(PATIENCE), "it was not sent all")
        wait_until(_is_watched, "the wait for the last answer")
        if end == "interrupted":
            os.kill(dumpctl, signal.SIGINT)
        else:
            sandbox.set_loopback(False)

    Server(serve)
    result = scene.run(*scene.command(witness.pid, *PLACE), meanwhile=act)
    is_over.set()
    if end == "interrupted":
        require(result.code == -signal.SIGINT, f"it was to be interrupted: {result}")
    else:
        scene.expect_failure(result, "Peer", "has ended the connection", "timed out")
    scene.expect_images({})
    witness.expect_unharmed()


@case
def page_server_of_a_dump_that_ends_before_it_is_told(scene):
    """That all is kept: so it is, and the log does not say otherwise."""
    server = _Daemon(scene, "-v4")
    with socket.create_connection(("127.0.0.1", int(server.port))) as dump:
        owner = 0x1101
        dump.sendall(struct.pack("<IIQQ", 4, 0, 0, owner))
        require(dump.recv(1) == b"\0", "it is not served")
        os.kill(server.pid, signal.SIGSTOP)
        wait_until(lambda: state_of(server.pid) == "T", "the stop")
        dump.sendall(struct.pack("<IIQQ", 6 | 4 << 16, 1, 0x1000, owner) + bytes(4096)
                     + struct.pack("<IIQQ", 0x1023, 0, 0, 0))
        dump.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    os.kill(server.pid, signal.SIGCONT)
    server.expect_end(23)
    log = server.read("page-server.log")
    require("has ended before it could be told that they are kept; they are" in log
            and "nothing of it was kept" not in log, f"the log says {log!r}")
    require(os.path.getsize(os.path.join(server.kept, "pages-65537.img")) == 4096,
            os.listdir(server.kept))
