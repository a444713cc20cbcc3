"""Internet, netlink and packet sockets: what no restore brings back of them, and how connections fare."""

import ctypes
import os
import select
import signal
import socket
import subprocess
import time

from registry import Failed, case_each
from scene import PATIENCE, require, wait_until

# What the witness holds, and words of what is said of it.
_REFUSED = {
    "pending": ("1 connections wait to be accepted", "--skip-in-flight"),
    "connected": ("it is connected", "add --tcp-established"),
    "closed": ("it was connected", "add --tcp-established"),
    "connecting": ("about to be connected", "when it is connected"),
    "option": ("TCP_USER_TIMEOUT", "put them back"),
    "option6": ("IPV6_TCLASS", "put them back"),
    "reuseport_program": ("SO_ATTACH_REUSEPORT_EBPF", "put them back"),
    "unowned_address": ("IP_FREEBIND", "add the address"),
    "namespace": ("another network namespace", "close it"),
    "error": ("an error waits to be told", "read from it"),
    "group": ("has joined a multicast group", "leave the group"),
    "group6": ("has joined a multicast group", "leave the group"),
    "raw_connected": ("a raw socket that is connected", "close it"),
    "raw_packet": ("datagrams wait in it", "--skip-in-flight"),
    "netlink_option": ("NETLINK_EXT_ACK", "put them back"),
    "netlink_group": ("number above 32", "leave the group"),
    "netlink_message": ("messages wait in it", "read them"),
    "packet_option": ("PACKET_QDISC_BYPASS", "put them back"),
    "packet_waiting": ("packets wait in it", "--skip-in-flight"),
    "datagram": ("datagrams wait in it", "--skip-in-flight"),
    "corked": ("UDP_CORK", "send it"),
    "begun": ("MSG_MORE", "send it"),
}


@case_each(sorted(_REFUSED))
def internet_socket(scene, what):
    witness = scene.witness("poll", f"inet_{what}")
    # Twice: what the first has looked at is as it was.
    for _ in range(2):
        result = scene.dump(witness.pid)
        scene.expect_failure(result, "Refused", "(socket, ", *_REFUSED[what])
        scene.expect_images({})
    witness.expect_unharmed()


@case_each(["pending", "datagram", "packet_waiting"])
def internet_socket_without_what_is_in_flight(scene, what):
    witness = scene.witness("poll", f"inet_{what}")
    scene.expect_success(scene.dump(witness.pid, "-R", "--skip-in-flight"))
    scene.expect_whole_dump()
    witness.expect_unharmed()
    scene.expect_failure(scene.dump(witness.pid, "--no-skip-in-flight"), "Refused", "wait")


_TCP_REPAIR = 19
_PIDFD_GETFD = 438
_LOCKS = ("iptables", "nftables")


class _Connection:
    """The witness's end of a connection to a process that says what it hears."""

    def __init__(self, pid):
        for number in os.listdir(f"/proc/{pid}/fd"):
            if not os.readlink(f"/proc/{pid}/fd/{number}").startswith("socket:"):
                continue
            self._end = socket.socket(fileno=_fetch(pid, int(number)))
            try:
                self._end.getpeername()
                return
            except OSError:
                self._end.close()  # it listens
        raise Failed("the witness has no connection")

    def expect_alive(self):
        require(self._end.getsockopt(socket.IPPROTO_TCP, _TCP_REPAIR) == 0, "it is being repaired")
        require(self._end.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR) == 1, "no SO_REUSEADDR")
        # No timeout of the socket's: the open file is the witness's as well, and would not block.
        self._end.send(b"hello")
        poller = select.poll()
        poller.register(self._end, select.POLLIN)
        heard = b""
        while len(heard) < 5:
            require(poller.poll(PATIENCE * 1000), f"the connection is lost after {heard}")
            piece = self._end.recv(5 - len(heard))
            require(piece, f"the connection was ended after {heard}")
            heard += piece
        require(heard == b"hello", f"heard {heard}")


def _fetch(pid, number):
    pidfd = os.pidfd_open(pid)
    fd = ctypes.CDLL(None).syscall(_PIDFD_GETFD, pidfd, number, 0)
    os.close(pidfd)
    require(fd >= 0, f"descriptor {number} is not to be had")
    return fd


def _rules():
    """What drops packets of connections, by either way."""
    rules = subprocess.run(["/usr/sbin/nft", "list", "ruleset"], stdout=subprocess.PIPE, text=True)
    return [line for line in rules.stdout.splitlines() if " drop" in line]


def _dump(scene, witness, lock, *options, fault=""):
    return scene.dump(witness.pid, "--tcp-established", "--network-lock", lock, *options, fault=fault)


@case_each(_LOCKS)
def connection_left_alone(scene, lock):
    witness = scene.witness("poll", "inet_connected")
    connection = _Connection(witness.pid)
    for how in ("-R", "-s"):
        scene.expect_success(_dump(scene, witness, lock, how))
        require(_rules() == [], f"packets are still dropped: {_rules()}")
        connection.expect_alive()
    os.kill(witness.pid, signal.SIGCONT)
    witness.expect_unharmed()


@case_each(f"{point}.{lock}" for point in ("collect", "memory", "serialise") for lock in _LOCKS)
def connection_after_a_failure(scene, what):
    point, lock = what.split(".")
    witness = scene.witness("poll", "inet_connected")
    connection = _Connection(witness.pid)
    scene.expect_failure(_dump(scene, witness, lock, fault=f"{point}=fail"), "Internal", point)
    require(_rules() == [], f"packets are still dropped: {_rules()}")
    connection.expect_alive()
    witness.expect_unharmed()


@case_each(f"{point}.{lock}" for point in ("memory", "commit", "resume") for lock in _LOCKS)
def connection_after_the_dumper_was_killed(scene, what):
    point, lock = what.split(".")
    witness = scene.witness("poll", "inet_connected")
    connection = _Connection(witness.pid)
    result = _dump(scene, witness, lock, fault=f"{point}=kill")
    require(result.code == -signal.SIGKILL, f"expected a kill, got {result}")
    wait_until(lambda: _rules() == [], "the guardian")
    connection.expect_alive()
    witness.expect_unharmed()


@case_each(f"{fault}.{lock}" for fault in ("none", "finish=kill") for lock in _LOCKS)
def connection_of_a_killed_process(scene, what):
    """Its packets are kept away until a restore has it."""
    fault, lock = what.split(".")
    witness = scene.witness("poll", "inet_connected")
    _dump(scene, witness, lock, fault="" if fault == "none" else fault)
    scene.expect_whole_dump()
    witness.expect_gone()
    time.sleep(0.1)
    require(len(_rules()) >= 2, "packets go through")
