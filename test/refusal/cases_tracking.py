"""Whether what is written between two dumps can be tracked: what check says, and who is refused."""

import ctypes
import fcntl
import mmap
import os
import struct

from calls import begun, traced
from registry import Skipped, case
from scene import require

PAGE = mmap.PAGESIZE
SYS_USERFAULTFD = 323  # x86-64
UFFD_USER_MODE_ONLY = 1
UFFD_API = 0xAA
UFFDIO_API = 0xC018AA3F
UFFDIO_REGISTER = 0xC020AA00
UFFDIO_REGISTER_MODE_WP = 2
UFFD_FEATURE_WP_UNPOPULATED = 1 << 13
UFFD_FEATURE_WP_ASYNC = 1 << 15
PAGEMAP_SCAN = 0xC0606610
PAGE_IS_WRITTEN = 1 << 1
PM_SCAN_WP_MATCHING = 1
PM_SCAN_CHECK_WPASYNC = 2
PIDFD_THREAD = os.O_EXCL
SOFT_DIRTY = 1 << 55
FRAME = (1 << 55) - 1

BOTH_DOWN = "-write_watch,-soft_dirty"
REMEDY = ("cannot track", "Linux 6.9", "CONFIG_USERFAULTFD", "CONFIG_MEM_SOFT_DIRTY")


class _Page:
    """One of our own memory."""

    def __init__(self):
        self._memory = mmap.mmap(-1, PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
        self.write()

    def write(self):
        self._memory[0] = (self._memory[0] + 1) % 256

    def entry(self):
        """What pagemap says of it."""
        with open("/proc/self/pagemap", "rb", buffering=0) as pagemap:
            return struct.unpack("=Q", os.pread(pagemap.fileno(), 8, self.address // PAGE * 8))[0]


def _take_written(page):
    """Whether it was written to since it was taken last."""
    found = ctypes.create_string_buffer(24)
    request = struct.pack("=12Q", 96, PM_SCAN_WP_MATCHING | PM_SCAN_CHECK_WPASYNC, page.address,
                          page.address + PAGE, 0, ctypes.addressof(found), 1, 0, 0,
                          PAGE_IS_WRITTEN, 0, PAGE_IS_WRITTEN)
    with open("/proc/self/pagemap", "rb", buffering=0) as pagemap:
        return fcntl.ioctl(pagemap, PAGEMAP_SCAN, bytearray(request)) == 1


def _watches_writes():
    """Whether the kernel does it by userfaultfd, and has descriptors of threads: for ourselves."""
    number = ctypes.CDLL(None).syscall(SYS_USERFAULTFD, os.O_CLOEXEC | UFFD_USER_MODE_ONLY)
    if number < 0:
        return False
    page = _Page()
    with open(number, "rb", buffering=0) as watch:
        try:
            features = UFFD_FEATURE_WP_ASYNC | UFFD_FEATURE_WP_UNPOPULATED
            fcntl.ioctl(watch, UFFDIO_API, struct.pack("=3Q", UFFD_API, features, 0))
            place = struct.pack("=4Q", page.address, PAGE, UFFDIO_REGISTER_MODE_WP, 0)
            fcntl.ioctl(watch, UFFDIO_REGISTER, place)
            os.close(os.pidfd_open(os.getpid(), PIDFD_THREAD))
            written = [_take_written(page), _take_written(page)]
            page.write()
            return [*written, _take_written(page)] == [True, False, True]
        except OSError:
            return False


def _has_soft_dirty():
    """Whether our own bits are cleared, and set again by a write; and whether we see frames."""
    page = _Page()
    told = [page.entry()]
    try:
        with open("/proc/self/clear_refs", "w") as clear_refs:
            clear_refs.write("4")
    except OSError:
        return False
    told.append(page.entry())
    page.write()
    told.append(page.entry())
    dirty = [entry & SOFT_DIRTY != 0 for entry in told]
    return dirty == [True, False, True] and told[0] & FRAME != 0


def _check(scene, features=""):
    return scene.run(scene.dumpctl, "check", "--feature", "mem_dirty_track", features=features)


def _pre_dump(scene, witness, features="", wrapper=()):
    command = (scene.dumpctl, "pre-dump", "-t", str(witness.pid), "-D", scene.images)
    return scene.run(*wrapper, *command, features=features)


@case
def mem_dirty_track_as_the_kernel_has_it(scene):
    """Either way of it will do, and where there is none check ends with 17, as dumpctl(1) says."""
    ways = {"-write_watch": _watches_writes(), "-soft_dirty": _has_soft_dirty()}
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
    if not _watches_writes() and not _has_soft_dirty():
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
