"""Which ways the kernel has to tell what was written: asked for our own memory."""

import ctypes
import fcntl
import mmap
import os
import struct

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


def watches_writes():
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


def has_soft_dirty():
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
