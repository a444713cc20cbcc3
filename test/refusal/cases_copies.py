"""Memory that is written from copies: whose pages are looked for there, and what becomes of that."""

import json
import os
import re
import signal
import sys

from cases_putback import COPIES, _children_of, _Tree
from registry import case
from scene import Stall, expect_fallback, require, skip_without, tracer_of, wait_until

MIB = 1 << 20
# One page in each of so many page tables, in a process and in one that it has started: a table maps
# 2 MiB, and so much may be in memory of what it maps.
TABLES = 32
SPARSE = f"""
import ctypes, mmap, os, signal, subprocess, sys
memory = mmap.mmap(-1, {TABLES} * {2 * MIB}, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
memory.madvise(mmap.MADV_NOHUGEPAGE)
for at in range(0, len(memory), {2 * MIB}):
    memory[at] = 1
if sys.argv[1] == "first":
    subprocess.Popen([sys.executable, "-c", sys.orig_argv[2], "second"])
name = f"ready-{{os.getpid()}}"
with open(name + ".new", "w") as file:
    file.write(str(ctypes.addressof(ctypes.c_char.from_buffer(memory))))
os.rename(name + ".new", name)
signal.pause()
"""


def _opened(pid, path):
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            if os.readlink(f"/proc/{pid}/fd/{name}") == path:
                return True
        except FileNotFoundError:
            pass
    return False


@case
def copy_killed_while_its_pages_are_found(scene):
    """As the kernel does where memory comes to an end. The page tables of what is dead look empty,
    and nobody says so."""
    strace = skip_without("strace")
    tree = _Tree(scene, "threads")
    copies = []

    def runs_beside_a_copy():
        copies[:] = set(tree.members()) - set(tree.members_before)
        return len(copies) == 1 and tracer_of(tree.pid) == 0

    def pagemap():
        return f"/proc/{copies[0]}/pagemap"

    def slow_down(dumpctl):
        wait_until(runs_beside_a_copy, "a copy")
        # It holds the first scan up for a moment.
        tracer = scene.start(strace, "-q", "-o", "/dev/null", "-P", pagemap(),
                             "-e", "trace=ioctl,pread64",
                             "-e", "inject=ioctl,pread64:delay_enter=400000:when=1", "-p", dumpctl)
        wait_until(lambda: tracer_of(dumpctl) == tracer, "strace")

    stall = Stall(scene.directory, "find")

    def kill_copy(dumpctl):
        stall.during(slow_down)(dumpctl)
        wait_until(lambda: _opened(dumpctl, pagemap()), "the look for pages")
        os.kill(copies[0], signal.SIGKILL)

    # Sanitizers look for leaks by ptrace, which strace has taken.
    command = ("env", "ASAN_OPTIONS=detect_leaks=0", *scene.command(tree.pid, *COPIES))
    result = scene.run(*command, fault=stall.fault, meanwhile=kill_copy)
    scene.expect_failure(result, "Host", "the copy of a process was killed", "--snapshot=off")
    scene.expect_images({})
    tree.expect_put_back()


def _tables_of(pid):
    """Bytes that may be in memory of what its page tables map."""
    with open(f"/proc/{pid}/status") as status:
        return int(re.search(r"^VmPTE:\s+(\d+) kB$", status.read(), re.MULTILINE).group(1)) // 4 * 2 * MIB


def _start_sparse(scene):
    """Two processes without kin, and where their memory is: {pid: address}."""
    root = scene.start(sys.executable, "-c", SPARSE, "first")
    found = {}

    def ready():
        for name in os.listdir(scene.directory):
            if re.fullmatch(r"ready-\d+", name):
                with open(os.path.join(scene.directory, name)) as file:
                    found[int(name[6:])] = int(file.read())
        return len(found) == 2

    wait_until(ready, "both")
    return root, found


def _pages_within(scene, pid, begin):
    """Of that memory, in the images."""
    shown = scene.run(scene.dumpctl, "show", "--json", os.path.join(scene.images, f"pagemap-{pid}.img"))
    require(shown.code == 0, shown)
    entries = json.loads(shown.out)["entries"][1:]
    return [e for e in entries if begin <= int(str(e["vaddr"]), 0) < begin + TABLES * 2 * MIB]


@case
def later_copies_have_less_room(scene):
    """A process whose page tables may hold more than there is room for, since another one was copied,
    is copied all the same where what they hold is little; its pages are known by then."""
    root, memory = _start_sparse(scene)
    for room, found in ((2 * _tables_of(root) + 32 * MIB, 2), (_tables_of(root) + 32 * MIB, 1)):
        log = os.path.join(scene.directory, "log")
        scene.images = scene.make_directory(f"images-{found}")
        result = scene.dump(root, *COPIES, f"--snapshot-max-extra={room}", "-v4", "-o", log)
        scene.expect_success(result)
        with open(log) as text:
            lines = text.read()
        require("Copied 2 processes" in lines, lines)
        require(lines.count(" in its copy") == found, lines)
        for pid, begin in memory.items():
            pages = _pages_within(scene, pid, begin)
            require(len(pages) == TABLES, f"{len(pages)} pages of {pid}")
        os.unlink(log)
    # The first is copied, and the copy ends with the dump.
    scene.images = scene.make_directory("images-none")
    result = scene.dump(root, *COPIES, f"--snapshot-max-extra={_tables_of(root) + MIB}")
    scene.expect_failure(result, "Refused", "more memory than there is for copies")
    scene.expect_images({})
    wait_until(lambda: set(_children_of(root)) == set(memory) - {root}, "the end of the copy")
    require(all(tracer_of(pid) == 0 for pid in memory), "they are traced")


@case
def nothing_written_beforehand_where_writes_are_not_tracked(scene):
    witness = scene.witness("poll", "big")
    result = scene.run(*scene.command(witness.pid, "-R", "--snapshot=pre-copy"),
                       features="-write_watch")
    scene.expect_success(result)
    expect_fallback(result, "nothing written beforehand", "does not track writes")
    scene.expect_whole_dump()
    witness.expect_unharmed()
