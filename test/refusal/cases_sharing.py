"""Pages that forked processes share copy-on-write are read without a copy of each being made for that.

A copy would be charged to the cgroup of who is read, once for each process.
"""

import os
import sys

from registry import case, case_each
from scene import fallbacks, require, wait_until

_CHILDREN = 10
_MIB = 4
_PARENT = f"""
import mmap, os, signal, sys
memory = mmap.mmap(-1, {_MIB} << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
memory.madvise(mmap.MADV_NOHUGEPAGE)
memory.write(b"x" * len(memory))
for _ in range({_CHILDREN}):
    if os.fork() == 0:
        os.setsid()
        break
else:
    open(sys.argv[1], "w").close()
while True:
    signal.pause()
"""
# Each has pages that a copy of it would not.
_OWN_PAGES = """
import mmap, os, signal, sys
for _ in range(4):
    if os.fork() == 0:
        own = mmap.mmap(-1, 6 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        own.madvise(mmap.MADV_DONTFORK)
        more = mmap.mmap(-1, 8 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        for memory in (own, more):
            memory.madvise(mmap.MADV_NOHUGEPAGE)
            memory.write(b"x" * len(memory))
        os.mkdir(f"{sys.argv[1]}.{os.getpid()}")
        break
while True:
    signal.pause()
"""
_OPTIONS = {
    "each_for_itself": ("--write-once", "off"),
    "tracked": ("--track-mem",),
    "child_alone": (),
}


def _children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as children:
        return [int(child) for child in children.read().split()]


def _private(pids):
    """KiB that each of them alone has."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/smaps_rollup") as rollup:
            total += sum(int(line.split()[1]) for line in rollup if line.startswith("Private_"))
    return total


@case_each(_OPTIONS)
def shared_pages_stay_shared(scene, name):
    ready = os.path.join(scene.directory, "ready")
    root = scene.start(sys.executable, "-c", _PARENT, ready)
    wait_until(lambda: os.path.exists(ready), "the children")
    children = _children(root)
    require(len(children) == _CHILDREN, f"children are {children}")
    target = children[0] if name == "child_alone" else root
    before = _private([root, *children])
    result = scene.dump(target, "-R", "--snapshot=off", *_OPTIONS[name])
    scene.expect_success(result)
    more = _private([root, *children]) - before
    require(more < _MIB * 1024 / 2, f"{more} KiB more are nobody else's")


@case
def pages_that_copies_lack_are_bounded_by_the_tree(scene):
    """They are held in dumpctl's memory: 16 MiB of them, whoever has them."""
    place = scene.make_directory("place")
    root = scene.start(sys.executable, "-c", _OWN_PAGES, os.path.join(place, "ready"))
    wait_until(lambda: len(os.listdir(place)) == 4, "the children")
    result = scene.dump(root, "-R", "--snapshot=cow")
    scene.expect_failure(result, "Refused", "too many pages that a copy would not have")
    scene.expect_images({})
    result = scene.dump(root, "-R")
    scene.expect_success(result)
    scene.expect_whole_dump()
    told = fallbacks(result)
    require(len(told) == 2 and all("too many pages" in line for line in told), result)
    require("from copies" in result.out, f"the others were not copied: {result}")
