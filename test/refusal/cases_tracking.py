"""Whether what is written between two dumps can be tracked: what check says, and who is refused."""

import json
import os
import signal
import subprocess
import sys
import time

from calls import begun, traced
from cases_page_server import PLACE, start_page_server
from registry import Skipped, case
from scene import PATIENCE, Result, Stall, require, skip_without, tracer_of, wait_until
from write_tracking import has_soft_dirty, watches_writes

BOTH_DOWN = "-write_watch,-soft_dirty"
# A process and its child, which both have memory of their own.
PAIR = """
import os, signal
child = os.fork()
memory = bytearray(b"m" * 1000000)
if child:
    with open("child.new", "w") as file:
        file.write(str(child))
    os.rename("child.new", "child")
signal.pause()
"""
# Memory that is given back when it is asked to.
GIVES_BACK = """
import mmap, os, signal
memory = mmap.mmap(-1, 1 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
memory[:] = b"m" * (1 << 20)
def give_back(*_):
    memory.close()
    open("given", "w").close()
signal.signal(signal.SIGUSR1, give_back)
open("ready", "w").close()
while True:
    signal.pause()
"""
# Of a pagemap's entries.
PRESENT = 4
REMEDY = ("cannot track", "Linux 6.9", "CONFIG_USERFAULTFD", "CONFIG_MEM_SOFT_DIRTY")


def _check(scene, features=""):
    return scene.run(scene.dumpctl, "check", "--feature", "mem_dirty_track", features=features)


def _pre_dump(scene, witness, features="", wrapper=()):
    command = (scene.dumpctl, "pre-dump", "-t", str(witness.pid), "-D", scene.images)
    return scene.run(*wrapper, *command, features=features)


@case
def mem_dirty_track_as_the_kernel_has_it(scene):
    """Either way of it will do, and where there is none check ends with 17, as dumpctl(1) says."""
    ways = {"-write_watch": watches_writes(), "-soft_dirty": has_soft_dirty()}
    for down in ([], ["-write_watch"], ["-soft_dirty"], [*ways]):
        result = _check(scene, ",".join(down))
        if any(has for way, has in ways.items() if way not in down):
            scene.expect_success(result)
            require(result.out == "mem_dirty_track is supported\n", f"with {ways}: {result}")
            continue
        scene.expect_failure(result, "Host", "mem_dirty_track is not supported", *REMEDY[1:])
        require(result.code == 17, f"with {ways}, and {down} down: {result}")


@case
def tracking_that_the_kernel_lacks(scene):
    """Who needs it is told before anything is changed; who does not, dumps all the same."""
    witness = scene.witness()
    scene.expect_failure(_pre_dump(scene, witness, features=BOTH_DOWN), "Host", *REMEDY)
    wrapper, trace = traced(scene, "ptrace,openat")
    scene.expect_failure(_pre_dump(scene, witness, features=BOTH_DOWN, wrapper=wrapper), "Host")
    touched = [call for _, call in begun(trace) if "ptrace(" in call or f"<{scene.images}" in call]
    require(touched == [], f"it came to {touched}")
    command = scene.command(witness.pid, "-R", "--track-mem")
    scene.expect_failure(scene.run(*command, features=BOTH_DOWN), "Host", *REMEDY, "--track-mem")
    scene.expect_images({})
    witness.expect_unharmed()
    scene.expect_success(scene.run(*scene.command(witness.pid, "-R"), features=BOTH_DOWN))
    scene.expect_whole_dump()
    witness.expect_unharmed()


def skip_without_tracking():
    if not watches_writes() and not has_soft_dirty():
        raise Skipped("this kernel tracks no writes: Linux 6.9 does, with CONFIG_USERFAULTFD")


def _dumped_before(scene):
    """A large witness, and its pre-dump: that and the next dump's --prev-images-dir, whose turn it is."""
    skip_without_tracking()
    witness = scene.witness("poll", "big")
    first = scene.images
    scene.expect_success(_pre_dump(scene, witness))
    require("inventory.img" in os.listdir(first), "a pre-dump has left nothing")
    scene.images = scene.make_directory("next")
    return witness, first, os.path.relpath(first, scene.images)


def _size(images):
    return os.path.getsize(os.path.join(images, "pages-1.img"))


@case
def tracking_that_the_kernel_has(scene):
    """A pre-dump is not refused, and a dump builds upon it."""
    witness, first, parent = _dumped_before(scene)
    scene.expect_success(scene.dump(witness.pid, "-R", "--prev-images-dir", parent))
    sizes = [_size(first), _size(scene.images)]
    require(sizes[1] < sizes[0] / 8, f"pages are written again: {sizes}")
    scene.expect_whole_dump()
    witness.expect_unharmed()


@case
def copies_have_what_stands_in_parent_images(scene):
    """A copy takes memory for each of its pages that is written to, not only for those to be saved."""
    witness, first, parent = _dumped_before(scene)
    require(_size(first) > 4 << 20, "it is too small")
    options = ("-R", "--snapshot=cow", "--prev-images-dir", parent, "--snapshot-max-extra")
    result = scene.dump(witness.pid, *options, "2M")
    scene.expect_failure(result, "Refused", "may come to take more memory than there is for copies")
    witness.expect_unharmed()
    scene.expect_success(scene.dump(witness.pid, *options, "1G"))
    witness.expect_unharmed()


def _pair(scene):
    """PAIR's processes."""
    root = scene.start(sys.executable, "-c", PAIR)
    place = os.path.join(scene.directory, "child")
    wait_until(lambda: os.path.exists(place), "the child")
    with open(place) as file:
        return root, int(file.read())


@case
def tracking_of_a_part_of_what_is_tracked(scene):
    """From when the tree stood on, and not only since its images stand; until it is let go."""
    skip_without_tracking()
    root, child = _pair(scene)
    part = scene.make_directory("part")
    of_part = (scene.dumpctl, "pre-dump", "-j", "-t", str(child), "-D", part)
    of_tree = (scene.dumpctl, "pre-dump", "-t", str(root), "-D", scene.images)
    words = (child, "are tracked for a dump of another tree", "dumpctl untrack")
    refused = []

    def track_part(dumpctl):
        done = subprocess.run(of_part, cwd=scene.directory, capture_output=True, text=True,
                              check=False)
        refused.append(Result(done.returncode, done.stdout, done.stderr))

    stall = Stall(scene.directory, "memory")
    scene.expect_success(scene.run(*of_tree, fault=stall.fault, meanwhile=stall.during(track_part)))
    scene.expect_failure(refused[0], "Refused", *words)
    scene.expect_failure(scene.run(*of_part), "Refused", *words)
    scene.expect_images({}, part)
    untrack = scene.run(scene.dumpctl, "untrack", "-t", str(root))
    require(untrack.code == 0 and "tracked no more" in untrack.out, f"{untrack}")
    scene.expect_success(scene.run(*of_part))
    # And the other way around.
    tree = scene.make_directory("tree")
    scene.expect_failure(scene.run(*of_tree[:-1], tree), "Refused", *words)
    scene.expect_images({}, tree)
    again = scene.make_directory("again")
    scene.expect_success(scene.run(*of_part[:-1], again, "--prev-images-dir", "../part"))


@case
def child_that_ends_while_a_pre_dump_reads_it(scene):
    """The tree runs by then, and comes and goes as it likes: the others are what it is of."""
    skip_without_tracking()
    root, child = _pair(scene)
    stall = Stall(scene.directory, "memory")
    result = scene.run(scene.dumpctl, "pre-dump", "-t", str(root), "-D", scene.images,
                       fault=stall.fault,
                       meanwhile=stall.during(lambda dumpctl: os.kill(child, signal.SIGKILL)))
    scene.expect_success(result)
    left = set(os.listdir(scene.images))
    require({"inventory.img", f"pagemap-{root}.img"} <= left, f"{left} are left")
    require(f"pagemap-{child}.img" not in left, f"of the child, {left} are left")


def _bytes_of_data(path):
    """What is no hole."""
    found, at = 0, 0
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        while at < size:
            try:
                start = os.lseek(file.fileno(), at, os.SEEK_DATA)
            except OSError:
                break
            at = os.lseek(file.fileno(), start, os.SEEK_HOLE)
            found += at - start
    return found, size


@case
def memory_that_a_pre_dump_cannot_read_any_more(scene):
    """It has zeros in its place, and later dumps would count on them."""
    skip_without_tracking()
    target = scene.start(sys.executable, "-c", GIVES_BACK)
    is_there = lambda name: os.path.exists(os.path.join(scene.directory, name))
    wait_until(lambda: is_there("ready"), "the memory")

    def give_back(dumpctl):
        os.kill(target, signal.SIGUSR1)
        wait_until(lambda: is_there("given"), "it to be given back")

    stall = Stall(scene.directory, "memory")
    result = scene.run(scene.dumpctl, "pre-dump", "-t", str(target), "-D", scene.images,
                       fault=stall.fault, meanwhile=stall.during(give_back))
    scene.expect_success(result)
    data, size = _bytes_of_data(os.path.join(scene.images, "pages-1.img"))
    require(data > 0 and size - data >= 1 << 20, f"{data} bytes of {size} are to be counted on")


def _pages_of(scene, images, pid):
    """Addresses of the pages that the images have here."""
    shown = scene.run(scene.dumpctl, "show", "--json", os.path.join(images, f"pagemap-{pid}.img"))
    scene.expect_success(shown)
    return {entry["vaddr"] + 4096 * page
            for entry in json.loads(shown.out)["entries"][1:] if entry["flags"] & PRESENT
            for page in range(entry.get("nr_pages") or entry["compat_nr_pages"])}


@case
def memory_that_a_pre_dump_cannot_read_to_send_it(scene):
    """A page server is told of no page that was not read: it would have zeros in its place. Here
    much cannot be read for once, though it is there, and is written to no more."""
    skip_without_tracking()
    strace = skip_without("strace")
    witness = scene.witness("poll", "big")
    whole = scene.make_directory("whole")
    scene.expect_success(scene.dump(witness.pid, "-R", "--write-once", "off", images=whole))
    pages = _pages_of(scene, whole, witness.pid)
    kept = [scene.make_directory(f"kept-{number}") for number in range(2)]
    server = start_page_server(scene, kept[0])

    def keep_from_reading(dumpctl):
        tracer = scene.start(strace, "-q", "-f", "-o", "/dev/null", "-P",
                             f"/proc/{witness.pid}/mem", "-e", "trace=pread64",
                             "-e", "inject=pread64:error=EIO", "-p", dumpctl)
        wait_until(lambda: tracer_of(dumpctl) == tracer, "strace")

    stall = Stall(scene.directory, "memory")
    # Sanitizers look for leaks by ptrace, which strace has taken.
    scene.expect_success(scene.run("env", "ASAN_OPTIONS=detect_leaks=0", scene.dumpctl, "pre-dump",
                                   "-t", str(witness.pid), "-D", scene.images, *PLACE,
                                   fault=stall.fault, meanwhile=stall.during(keep_from_reading)))
    require(scene.reaper.wait(server, time.monotonic() + PATIENCE) == 0, "the server has failed")
    before = _pages_of(scene, kept[0], witness.pid)
    require(len(pages - before) > 1024, f"{len(before)} of {len(pages)} pages were sent")
    parent, scene.images = scene.images, scene.make_directory("next")
    server = start_page_server(scene, kept[1], "--prev-images-dir", "../kept-0")
    scene.expect_success(scene.dump(witness.pid, "-R", *PLACE, "--prev-images-dir",
                                    os.path.relpath(parent, scene.images)))
    require(scene.reaper.wait(server, time.monotonic() + PATIENCE) == 0, "the server has failed")
    after = _pages_of(scene, kept[1], witness.pid)
    require(pages <= before | after, f"{len(pages - before - after)} pages were left out")
    witness.expect_unharmed()


@case
def nothing_is_taken_for_a_closed_stderr(scene):
    """Images least of all, into which somebody would write a line; and a holder has its own."""
    skip_without_tracking()
    witness = scene.witness()
    closed = ("/bin/sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh")
    scene.expect_success(_pre_dump(scene, witness, wrapper=closed))
    untracked = scene.run(scene.dumpctl, "untrack", "-t", str(witness.pid))
    scene.expect_success(untracked)
    require("is tracked no more" in untracked.out, f"it was not tracked: {untracked}")
    witness.expect_unharmed()
