"""Stock criu, as it is started from the private root that scripts/stock-criu makes."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass

from target import BenchFailure

STOCK_CRIU = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "stock-criu")
NEWEST_FIRST = ("sid", "trixie")


def _output_of(argv):
    return subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def in_one_piece(source, destination):
    with open(source, "rb") as file:
        content = file.read()
    with open(destination, "wb", buffering=len(content) + 1) as file:
        file.write(content)
    shutil.copymode(source, destination)
    return destination


@dataclass(frozen=True)
class Stock:
    suite: str
    version: str
    argv: tuple  # how it is started


def _argv(libraries, criu):
    return (os.path.join(libraries, "ld-linux-x86-64.so.2"), "--library-path", libraries, criu)


def _stock_of(suite, directory):
    root = _output_of([STOCK_CRIU, "--suite", suite, "--root"])
    libraries = os.path.join(root, "usr/lib/x86_64-linux-gnu")
    criu = os.path.join(root, "usr/sbin/criu")
    version = _output_of([*_argv(libraries, criu), "--version"]).split()[1]
    if directory is not None:
        libraries = shutil.copytree(
            libraries, os.path.join(directory, "lib"), symlinks=True, copy_function=in_one_piece
        )
        criu = in_one_piece(criu, os.path.join(directory, "criu"))
    return Stock(suite, version, _argv(libraries, criu))


def find_stock(suite, directory):
    """(Stock, suites that it is instead of): the newest that runs here, or that of `suite` alone,
    unless it is None. By copies in `directory`, unless that is None."""
    missing = []
    for suite in NEWEST_FIRST if suite is None else (suite,):
        try:
            return _stock_of(suite, directory), missing
        except (OSError, subprocess.CalledProcessError, IndexError) as failure:
            missing.append(suite)
            print(f"stock criu of {suite} does not run here: {failure}", file=sys.stderr)
    raise BenchFailure(f"no stock criu runs here, of {' or '.join(missing)}")
