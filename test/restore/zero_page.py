"""Whether this kernel has one page of zeros for all memory that is only read: see test/mm/zero_page.h."""

import ctypes
import mmap
import os

_PAGE = mmap.PAGESIZE
_FRAME = (1 << 55) - 1  # of an entry of pagemap: proc_pid_pagemap(5)


def _frame_of(address):
    with open("/proc/self/pagemap", "rb", buffering=0) as pagemap:
        return int.from_bytes(os.pread(pagemap.fileno(), 8, address // _PAGE * 8), "little") & _FRAME


def exists():
    with mmap.mmap(-1, 2 * _PAGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as pages:
        first, second = pages[0], pages[_PAGE]
        assert first == second == 0
        # Its address; no view of it may be left when it is unmapped.
        view = (ctypes.c_char * len(pages)).from_buffer(pages)
        address = ctypes.addressof(view)
        del view
        return _frame_of(address) == _frame_of(address + _PAGE)
