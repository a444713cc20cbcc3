"""Each step of a dump fails in turn, or dumpctl is killed in it: all that it did is put back.

The processes check themselves: their memory, what they share, what waits between them, and that they
still answer each other.
"""

import os
import random
import signal
import subprocess
import time

from registry import case, case_each
from cases_inet import _rules
from scene import expect_fallback, is_unlocked, require, tracer_of, wait_until

# "resume" comes before "serialise" where the processes run on.
STEPS = ("preflight", "images", "freeze", "collect", "ask", "holdings", "share", "lock", "memory", "ghosts",
         "flags", "serialise", "link", "commit")
# Where memory is written from copies.
COPYING = ("snapshot", "memory", "flags", "resume", "find", "copies", "serialise", "commit")
COPIES = ("-R", "--snapshot=cow")
# Where it is written beforehand.
BEFOREHAND = ("pre-copy", "catch-up", "freeze", "holdings", "memory", "resume", "serialise", "commit")
PRE_COPY = ("-R", "--snapshot=pre-copy")
# Of x86-64: see killed_at_call.c.
SET_TCP_REPAIR = "54/1=6/2=19"
SET_PEEK_OFF = "54/1=1/2=42"
KILL_OR_WAIT = "62/1=9,247"
TCP = ("--tcp-established", "--network-lock")
SHAPES = {
    "threads": ("busy", None, ()),
    "shared": ("poll", "tree_shared", ("--file-locks",)),
    "peeking": ("poll", "tree_peeking", ()),
    "connected": ("poll", "tree_connected", (*TCP, "nftables")),
    # A link for a restore is made only where the processes are killed.
    "linked.nftables": ("poll", "tree_linked", (*TCP, "nftables", "--link-remap")),
    "linked.iptables": ("poll", "tree_linked", (*TCP, "iptables", "--link-remap")),
}


def _children_of(pid):
    pids = []
    for tid in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{tid}/children") as children:
            pids += [int(child) for child in children.read().split()]
    return pids


class _Tree:
    """A witness with all that is below it, and what is about it that a dump may not leave changed."""

    def __init__(self, scene, shape):
        mode, holding, self.options = SHAPES[shape]
        self._witness = scene.witness(mode, holding)
        self.pid = self._witness.pid
        self._place = f"/proc/{self.pid}/cwd"
        self._files = sorted(os.listdir(self._place))
        self.members_before = self.members()
        self._threads = [self._threads_of(pid) for pid in self.members_before]

    @staticmethod
    def _threads_of(pid):
        return sorted(os.listdir(f"/proc/{pid}/task"))

    def members(self):
        pids = [self.pid]
        for pid in pids:
            try:
                pids += _children_of(pid)
            except (FileNotFoundError, ProcessLookupError):
                # A copy that ends while it is looked at.
                continue
        return pids

    def expect_put_back(self):
        wait_until(lambda: _rules() == [], f"the end of the rules {_rules()}")
        # A copy that was left is waited for when dumpctl is dead.
        wait_until(lambda: self.members() == self.members_before,
                   f"the end of {set(self.members()) - set(self.members_before)}")
        for pid in self.members_before:
            wait_until(lambda: tracer_of(pid) == 0, f"the end of the trace of {pid}")
        # One that asked for us ends by itself when we are killed.
        wait_until(lambda: [self._threads_of(pid) for pid in self.members_before] == self._threads,
                   "the end of threads that were not there before")
        self._witness.expect_unharmed()
        wait_until(lambda: sorted(os.listdir(self._place)) == self._files,
                   f"the removal of {set(os.listdir(self._place)) ^ set(self._files)}")


def _fail_each(scene, tree, steps, *options):
    for step in steps:
        result = scene.dump(tree.pid, *tree.options, *options, fault=f"{step}=fail")
        scene.expect_failure(result, "Internal", f"made to fail at {step}")
        scene.expect_images({})
        tree.expect_put_back()


@case_each(shape for shape in SHAPES if shape != "connected")
def every_step_fails(scene, shape):
    tree = _Tree(scene, shape)
    _fail_each(scene, tree, STEPS)


def _fail_each_and_succeed(scene, shape, steps, *options, words=""):
    """Then, when none is made to fail, the dump says `words`."""
    tree = _Tree(scene, shape)
    _fail_each(scene, tree, steps, *options)
    result = scene.dump(tree.pid, *tree.options, *options)
    scene.expect_success(result)
    require(words in result.out, f"it does not say '{words}': {result}")
    scene.expect_whole_dump()
    tree.expect_put_back()


def _kill_at_each(scene, shape, steps, *options):
    tree = _Tree(scene, shape)
    for step in steps:
        result = scene.dump(tree.pid, *tree.options, *options, fault=f"{step}=kill")
        require(result.code == -signal.SIGKILL, f"it was to be killed at {step}: {result}")
        tree.expect_put_back()
        wait_until(lambda: is_unlocked(scene.images), "the end of all of dumpctl")


@case_each(shape for shape in SHAPES if not shape.startswith("linked"))
def every_step_fails_left_running(scene, shape):
    _fail_each_and_succeed(scene, shape, STEPS + ("resume",), "-R")


@case_each(shape for shape in SHAPES if not shape.startswith("linked"))
def every_step_fails_with_copies(scene, shape):
    _fail_each_and_succeed(scene, shape, COPYING, *COPIES, words="from copies")


@case
def every_step_fails_with_memory_written_beforehand(scene):
    _fail_each_and_succeed(scene, "threads", BEFOREHAND, *PRE_COPY,
                           words="beforehand, while it ran")


@case
def dumpctl_killed_with_memory_written_beforehand(scene):
    _kill_at_each(scene, "threads", BEFOREHAND, *PRE_COPY)


@case_each(shape for shape in SHAPES if not shape.startswith("linked"))
def dumpctl_killed_while_there_are_copies(scene, shape):
    _kill_at_each(scene, shape, COPYING, *COPIES)


@case
def no_room_for_copies(scene):
    """Refused where copies are wanted; else the process stands while its memory is written."""
    tree = _Tree(scene, "shared")
    little = ("--snapshot-max-extra", "1")
    result = scene.dump(tree.pid, *tree.options, *COPIES, *little)
    scene.expect_failure(result, "Refused", "with all put back: no copy of process ",
                         "more memory than there is for copies", "--snapshot=auto")
    scene.expect_images({})
    tree.expect_put_back()
    result = scene.dump(tree.pid, *tree.options, "-R", *little)
    scene.expect_success(result)
    require("from copies" not in result.out, f"it was copied: {result}")
    scene.expect_whole_dump()
    tree.expect_put_back()


@case
def no_room_for_a_copy_is_said(scene):
    """Of a process that is worth one, if nothing else is asked for."""
    witness = scene.witness("poll", "big")
    result = scene.dump(witness.pid, "-R", "--snapshot-max-extra", "1")
    scene.expect_success(result)
    expect_fallback(result, f"process {witness.pid}", "more memory than there is for copies")
    scene.expect_whole_dump()
    witness.expect_unharmed()


@case_each(SHAPES)
def dumpctl_killed_at_every_step(scene, shape):
    tree = _Tree(scene, shape)
    for step in STEPS:
        result = scene.dump(tree.pid, *tree.options, fault=f"{step}=kill")
        require(result.code == -signal.SIGKILL, f"it was to be killed at {step}: {result}")
        left = os.listdir(scene.images)
        require("inventory.img" not in left, f"killed at {step}, it left {left}")
        tree.expect_put_back()
        wait_until(lambda: is_unlocked(scene.images), "the end of all of dumpctl")
    result = scene.dump(tree.pid, *tree.options)
    scene.expect_success(result)
    scene.expect_whole_dump()


@case
def connections_under_random_kills(scene):
    """At any instant: the rules go, the connections go on."""
    tree = _Tree(scene, "connected")
    rolls = random.Random(5)
    killed = 0
    for _ in range(30):
        process = subprocess.Popen(scene.command(tree.pid, *tree.options, "-R"),
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        time.sleep(rolls.uniform(0.002, 0.09))
        process.kill()
        killed += process.wait() == -signal.SIGKILL
        tree.expect_put_back()
    require(killed >= 10, f"only {killed} were killed")


def _killed_at_each(scene, shape, calls, *options):
    """Wherever an option of a socket is about to be set: nobody of the tree goes on before it is
    as it was, however late it is put back."""
    tree = _Tree(scene, shape)
    put_back = 0
    for number in range(1, 100):
        _, killed, since = scene.dump_killed_at(calls, number, 100, tree.pid, *tree.options,
                                                *options)
        if not killed:
            break
        tree.expect_put_back()
        put_back += since > 0
    scene.expect_whole_dump()
    require(put_back >= 2, f"put back {put_back} times of {number - 1}")
    return tree


@case
def killed_with_connections_in_repair(scene):
    _killed_at_each(scene, "connected", SET_TCP_REPAIR, "-R").expect_put_back()


@case
def killed_with_sockets_peeked_into(scene):
    _killed_at_each(scene, "peeking", SET_PEEK_OFF, "-R").expect_put_back()


def _states_at_port(port):
    """(those of sockets on it, those of connections to it)"""
    with open("/proc/net/tcp") as table:
        rows = [line.split() for line in table.readlines()[1:]]
    return tuple({row[3] for row in rows if row[column].endswith(f":{port:04X}")}
                 for column in (1, 2))


@case
def killed_while_it_kills(scene):
    """Either all of the tree goes on, or all of it is dead, and nobody was told: a restore is to
    take the connections up."""
    options = ("--tcp-established", "--network-lock", "skip")
    witness = scene.witness("busy", "inet_tree")
    children = _children_of(witness.pid)
    outcomes = set()
    total = 0
    number = 0
    first = 0
    killed = True
    # Each waits more or less often, most so on a busy machine: to the end of one, whichever that is.
    while not total or number <= total or killed:
        _, killed, seen = scene.dump_killed_at(KILL_OR_WAIT, number, 0, witness.pid, *options)
        if killed and witness.goes_on():
            witness.expect_unharmed()
            outcomes.add("goes on")
        else:
            witness.expect_gone()
            for pid in children:
                wait_until(lambda: scene.reaper.wait(pid, 0) is not None, f"the end of {pid}")
            # The last of dumpctl may hold copies for a moment. Who has told the other end waits.
            wait_until(lambda: not _states_at_port(5001)[0], "the end of its sockets")
            outcomes.add("is dead" if killed else "done")
            witness = scene.witness("busy", "inet_tree")
            children = _children_of(witness.pid)
        require(_states_at_port(5001)[1] == {"01"}, f"{number}: {_states_at_port(5001)}")
        if not total:
            total = seen
            first = number = total - 24
        number += 1
        if number > total and not killed and "goes on" not in outcomes and first > 24:
            first -= 24
            total, number = first + 1, first
    require(outcomes == {"goes on", "is dead", "done"}, f"only {outcomes}")
