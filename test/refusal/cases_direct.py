"""--direct: memory is written past the page cache, where the file system takes that."""

import ctypes
import mmap
import os
import re
import subprocess
import time

import proc_facts
import sandbox
from calls import begun, ended, has_failed, traced
from cases_tracking import skip_without_tracking
from registry import Skipped, case, case_each
from scene import PATIENCE, is_unlocked, require, wait_until

PAGE = mmap.PAGESIZE
CALLS = "openat,fcntl,write,writev,pwrite64,pwritev,pwritev2,splice,copy_file_range"
WARNING = "Warn: The file system takes no O_DIRECT"


def _kind(directory):
    """What file system it is of."""
    command = ["stat", "-f", "-c", "%T", directory]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _pages_in_cache(path):
    """How many of a file the kernel has in memory."""
    if os.path.getsize(path) == 0:
        return 0
    with open(path, "r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
        first = ctypes.c_char.from_buffer(mapped)
        address = ctypes.addressof(first)
        told = (ctypes.c_ubyte * (len(mapped) // PAGE))()
        libc = ctypes.CDLL(None, use_errno=True)
        failed = libc.mincore(ctypes.c_void_p(address), ctypes.c_size_t(len(mapped)), told)
        del first  # or it would stay mapped
    require(failed == 0, f"mincore: {os.strerror(ctypes.get_errno())}")
    return sum(page & 1 for page in told)


def _write_directly(path):
    """Whether the file system takes a page with O_DIRECT."""
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_DIRECT, 0o600)
    except OSError:
        return False
    try:
        with mmap.mmap(-1, PAGE) as page:
            return os.pwrite(file, page, 0) == PAGE
    except OSError:
        return False
    finally:
        os.close(file)


def _ask(directory):
    """Whether its file system takes O_DIRECT, and whether it then leaves its cache alone: tmpfs, of
    which there is nothing else, takes it, too, since Linux 6.6."""
    path = os.path.join(directory, "probe")
    takes = _write_directly(path)
    spares = takes and _pages_in_cache(path) == 0
    if os.path.exists(path):
        os.unlink(path)
    return takes, spares


def _ask_or_skip(directory):
    takes, spares = _ask(directory)
    if not takes:
        raise Skipped(f"{_kind(directory)} takes no O_DIRECT: {directory}")
    return spares


def _flags_given_by(call):
    """(path, flags) of an open file that has them from then on, or None."""
    match = re.match(r"fcntl\(\d+<(.+?)>, F_SETFL, (.+)\) ", call)
    if match:
        return match[1], match[2].split("|")
    match = re.match(r"openat\(.*, (O_[A-Z_|]+).*\) = \d+<(.+)>$", call)
    return match and (match[2], match[1].split("|"))


def _writes_to_pages(calls):
    """(path, bytes, whether past the cache) of each write to an image of pages."""
    direct = {}
    for call in calls:
        if has_failed(call):
            continue
        if given := _flags_given_by(call):
            direct[given[0]] = "O_DIRECT" in given[1]
        match = re.match(r"(?!openat|fcntl)\w+\(.*?<(/[^>]*/pages-\d+\.img)>.* = (\d+)$", call)
        if match:
            yield match[1], int(match[2]), direct.get(match[1], False)


def _images_of_memory(directory, kinds="pages|pagemap"):
    """Their paths below the directory."""
    found = []
    for place, _, names in os.walk(directory):
        below = os.path.relpath(place, directory)
        found += [os.path.normpath(os.path.join(below, name)) for name in names
                  if re.match(f"({kinds})-", name)]
    return sorted(found)


def _pages_cached_of(directory):
    """How many pages of each image of pages are in the cache."""
    paths = [os.path.join(directory, name) for name in _images_of_memory(directory, "pages")]
    return {path: _pages_in_cache(path) for path in paths}


def _size_of_pages(directory):
    return sum(os.path.getsize(os.path.join(directory, name))
               for name in os.listdir(directory) if name.startswith("pages-"))


def _expect_same_memory(images, others):
    """Byte by byte, where each page of it is to be found included."""
    names = _images_of_memory(images)
    require(names == _images_of_memory(others), f"other images of memory: {names}")
    for name in names:
        with open(os.path.join(images, name), "rb") as ours:
            with open(os.path.join(others, name), "rb") as theirs:
                require(ours.read() == theirs.read(), f"{name} is another one than by the cache")


def _settled_witness(scene, holding=None):
    """One whose memory is always the same: rseq(2) notes there on which processor it runs."""
    witness = scene.witness("poll", holding)
    for pid in proc_facts.tree(witness.pid):
        os.sched_setaffinity(pid, {min(os.sched_getaffinity(0))})
    witness.remember()
    return witness


def _dump_through_cache(scene, witness, *options):
    directory = scene.make_directory("cached")
    scene.expect_success(scene.dump(witness.pid, "-R", *options, images=directory))
    return directory


def _expect_all_direct(images, trace):
    """That all pages there were written past the cache. How many of each image are in it."""
    written = {}
    for path, size, direct in _writes_to_pages(ended(trace)):
        require(direct, f"{size} bytes go through the cache: {path}")
        written[path] = written.get(path, 0) + size
    cached = _pages_cached_of(images)
    sizes = {path: os.path.getsize(path) for path in cached}
    require(written == {path: size for path, size in sizes.items() if size > 0},
            f"of {sizes} bytes {written} were seen to be written")
    return cached


def _expect_direct_dump(scene, holding, *options):
    """All memory, of each process, is written past the cache; and it is the same."""
    spares = _ask_or_skip(scene.images)
    witness = _settled_witness(scene, holding)
    others = _dump_through_cache(scene, witness, *options)
    shows = spares and any(_pages_cached_of(others).values())
    wrapper, trace = traced(scene, CALLS)
    scene.expect_success(scene.dump(witness.pid, "-R", "--direct", *options, wrapper=wrapper))
    cached = _expect_all_direct(scene.images, trace)
    require(not shows or not any(cached.values()), f"it is in the cache: {cached}")
    _expect_same_memory(scene.images, others)
    scene.expect_whole_dump()
    witness.expect_unharmed()


@case
def direct_dump(scene):
    _expect_direct_dump(scene, "big")


@case
def direct_dump_of_a_tree(scene):
    _expect_direct_dump(scene, "tree_shared", "--file-locks", "--write-once", "off")


@case
def direct_dump_of_a_tree_that_shares_pages(scene):
    """What is written once for all of them, too."""
    _expect_direct_dump(scene, "tree_shared", "--file-locks")


@case
def direct_pre_dump(scene):
    """And the dump upon it."""
    skip_without_tracking()
    _ask_or_skip(scene.images)
    witness = _settled_witness(scene, "big")
    command = (scene.dumpctl, "pre-dump", "-t", str(witness.pid), "-D")
    others = scene.make_directory("cached")
    scene.expect_success(scene.run(*command, others))
    first = scene.images
    wrapper, trace = traced(scene, CALLS)
    # strace goes on with who keeps track.
    strace = scene.start("/usr/bin/env", *wrapper, *command, first, "--direct")
    wait_until(lambda: "stats-dump" in os.listdir(first) and is_unlocked(first),
               "the end of the pre-dump")
    os.rename(trace, f"{trace}-first")
    scene.images = scene.make_directory("next")
    previous = os.path.relpath(first, scene.images)
    scene.expect_success(scene.dump(witness.pid, "-R", "--direct", "--prev-images-dir", previous,
                                    wrapper=wrapper))
    scene.expect_success(scene.run(scene.dumpctl, "untrack", "-t", str(witness.pid)))
    require(scene.reaper.wait(strace, time.monotonic() + PATIENCE) == 0, "the pre-dump failed")
    _expect_all_direct(first, f"{trace}-first")
    _expect_all_direct(scene.images, trace)
    _expect_same_memory(first, others)
    sizes = [_size_of_pages(first), _size_of_pages(scene.images)]
    require(0 < sizes[1] < sizes[0] / 8, f"all is written again, or nothing: {sizes}")
    scene.expect_whole_dump()
    witness.expect_unharmed()


@case_each(("ramfs", "tmpfs"))
def direct_dump_into(scene, kind):
    """Where that takes no O_DIRECT the log says so, once, and all is there."""
    options = ("--file-locks", "--write-once", "off")
    witness = _settled_witness(scene, "tree_shared")
    others = _dump_through_cache(scene, witness, *options)
    try:
        sandbox.mount(kind, scene.images, kind)
    except OSError as error:
        raise Skipped(f"this kernel mounts no {kind}: {error.strerror}")
    takes, _ = _ask(scene.images)
    wrapper, trace = traced(scene, CALLS)
    result = scene.dump(witness.pid, "-R", "--direct", *options, wrapper=wrapper)
    require(result.code == 0, f"no success: {result}")
    warned = [line for line in result.err.splitlines() if WARNING in line]
    require(len(warned) == (0 if takes else 1), f"the log of a dump to {kind}: {result}")
    require(result.err.count("\n") == len(warned), f"what else does it say? {result}")
    direct = {past for _, _, past in _writes_to_pages(ended(trace))}
    require(direct == {takes}, f"{kind} takes O_DIRECT: {takes}; it is written so: {direct}")
    _expect_same_memory(scene.images, others)
    scene.expect_whole_dump()
    witness.expect_unharmed()


def _dump_refused_writes(scene, witness, *inject):
    """A dump the writes of which are refused (EINVAL) as `inject` says, and its trace."""
    pages = os.path.join(scene.images, "pages-1.img")
    wrapper, trace = traced(scene, "fcntl,pwrite64", "-P", pages, "-e",
                            ":".join(("inject=pwrite64:error=EINVAL", *inject)))
    return scene.dump(witness.pid, "-R", "--direct", wrapper=wrapper), trace


def _expect_left_direct(scene, witness, result, trace, others):
    require(result.code == 0, f"no success: {result}")
    writes = list(_writes_to_pages(ended(trace)))
    require(writes and not any(direct for _, _, direct in writes), f"it goes on directly: {writes}")
    _expect_same_memory(scene.images, others)
    scene.expect_whole_dump()
    witness.expect_unharmed()


@case
def direct_write_that_is_refused(scene):
    """Some file systems take O_DIRECT for larger pieces than pages alone: it goes on without."""
    _ask_or_skip(scene.images)
    witness = _settled_witness(scene)
    others = _dump_through_cache(scene, witness)
    result, trace = _dump_refused_writes(scene, witness, "when=1")
    require("EINVAL" in "".join(call for _, call in begun(trace)), "no write was refused")
    _expect_left_direct(scene, witness, result, trace, others)


def _are_refused_together(trace):
    """Whether two threads wrote with O_DIRECT, and were refused, before either did without."""
    calls = begun(trace)
    left = [at for at, (_, call) in enumerate(calls)
            if "F_SETFL" in call and "O_DIRECT" not in call]
    writers = {thread for thread, call in calls[: left[0] if left else None] if "pwrite64" in call}
    refused = [thread for thread, call in calls if "EINVAL" in call]
    return len(writers) == 2 and sorted(refused) == sorted(writers)


@case
def direct_writes_that_are_refused_together(scene):
    """Two threads write: the one that comes later finds the file without O_DIRECT, and has to write
    again all the same."""
    _ask_or_skip(scene.images)
    witness = _settled_witness(scene, "big")
    others = _dump_through_cache(scene, witness)
    for attempt in range(5):
        # Each one's first is held up, until the other's is under way.
        scene.images = scene.make_directory(f"images-{attempt}")
        result, trace = _dump_refused_writes(scene, witness, "when=1", "delay_exit=300000")
        if _are_refused_together(trace):
            return _expect_left_direct(scene, witness, result, trace, others)
    raise Skipped("in vain waited for two writes at once")
