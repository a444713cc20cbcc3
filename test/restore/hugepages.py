"""Huge pages for targets that use some: set aside for them, and given back."""

import contextlib

_PATH = "/proc/sys/vm/nr_hugepages"


def _read():
    with open(_PATH) as file:
        return int(file.read())


def _write(count):
    with open(_PATH, "w") as file:
        file.write(str(count))


@contextlib.contextmanager
def reserved(count):
    """Says whether there are so many more."""
    if count == 0:
        yield True
        return
    try:
        before = _read()
        _write(before + count)
    except OSError:
        yield False
        return
    try:
        yield _read() >= before + count
    finally:
        _write(before)
