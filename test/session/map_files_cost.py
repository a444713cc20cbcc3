#!/usr/bin/python3
"""What a whole dump opens and stats under map_files, counted by strace from outside.

  map_files_cost.py --dumpctl PROGRAM modules|pieces

modules: of a python3 with many libraries, each mapped in several permissions.
pieces:  of a program that maps one file 1,500 times, with alternating permissions.

One of each per mapping is what there would be without borrowing; at most a third of that may be
seen, and the dump's own report must say the same. Exit status: 0 passed, 1 failed, 77 skipped.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../restore"))
import sandbox

SKIPPED = 77
TIMEOUT = 50

MODULES = """
import asyncio, bz2, ctypes, decimal, json, lzma, sqlite3, ssl, sys, time
print("ready", flush=True)
time.sleep(1000)
"""

PIECES = """
import ctypes, mmap, tempfile, time
PAGE, COUNT = 4096, 1500
with tempfile.NamedTemporaryFile(dir=".", delete=False) as file:
    file.truncate(PAGE * COUNT)
    area = mmap.mmap(file.fileno(), PAGE * COUNT, mmap.MAP_PRIVATE)
start = ctypes.addressof(ctypes.c_char.from_buffer(area))
protect = ctypes.CDLL(None, use_errno=True).mprotect
for i in range(0, COUNT, 2):
    assert protect(ctypes.c_void_p(start + i * PAGE), PAGE, mmap.PROT_READ) == 0
print("ready", flush=True)
time.sleep(1000)
"""

PROGRAMS = {"modules": (MODULES, 60), "pieces": (PIECES, 1500)}
STATS = ("fstat", "newfstatat", "statx", "fstatfs")


class Failed(Exception):
    pass


def require(condition, message):
    if not condition:
        raise Failed(message)


def count_calls(trace):
    """Opens under map_files, stats there or of such a descriptor, and closes of them."""
    opens = stats = closes = 0
    held = set()
    for line in trace:
        call = re.match(r"\d+ +(\w+)\((.*)", line)
        if not call:
            continue
        name, rest = call.groups()
        under = '"map_files/' in rest or "/map_files/" in rest
        require(not (under and "<unfinished" in rest), f"cut in two by another thread: {line}")
        result = re.search(r"\) += (-?\d+)", rest)
        first = re.match(r"\d+", rest)
        if name == "openat":
            # Whoever was looked for in vain has cost as much.
            opens += under
            if under and int(result.group(1)) >= 0:
                held.add(int(result.group(1)))
        elif name in STATS:
            stats += under or bool(first and int(first.group()) in held)
        elif name == "close" and first and int(first.group()) in held:
            held.remove(int(first.group()))
            closes += 1
    require(not held, f"never closed: {held}")
    return opens, stats, closes


def run(dumpctl, which, directory):
    program, at_least = PROGRAMS[which]
    reaper = sandbox.Reaper()
    out = os.path.join(directory, "out")
    with open(out, "wb") as file:
        pid = reaper.start(
            ["/usr/bin/python3", "-c", program], cwd=directory, stdout=file.fileno()
        )
    deadline = time.monotonic() + TIMEOUT / 2
    while not open(out).read().endswith("ready\n"):
        require(reaper.wait(pid, 0) is None, f"python3 ended: {open(out).read()}")
        require(time.monotonic() < deadline, "python3 did not get ready")
        time.sleep(0.01)
    mappings = len(os.listdir(f"/proc/{pid}/map_files"))
    require(mappings >= at_least, f"only {mappings} mappings of files")

    images, trace = os.path.join(directory, "images"), os.path.join(directory, "trace")
    os.mkdir(images)
    strace = ["strace", "-f", "-o", trace, "-e", "trace=openat,close," + ",".join(STATS)]
    dump = [dumpctl, "dump", "-t", str(pid), "-D", images, "-R", "--json"]
    done = subprocess.run(
        strace + dump,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        timeout=TIMEOUT,
        # Where it is built with it, the leak sanitizer would want to trace what strace traces.
        env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"},
    )
    require(done.returncode == 0, f"{' '.join(dump)}: {done.stderr}")
    report = json.loads(done.stdout)
    with open(trace) as lines:
        opens, stats, closes = count_calls(lines)
    print(f"{mappings} mappings of files: {opens} opens, {stats} stats, {closes} closes")
    said = tuple(report[name] for name in ("map_files_opens", "map_files_stats", "files_closed"))
    require(said == (opens, stats, closes), f"the report says {said}: {report}")
    require(opens > 0, "nothing was opened")
    require(3 * (opens + stats) <= 2 * mappings, "that is more than a third of one per mapping")
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dumpctl", required=True)
    parser.add_argument("program", choices=PROGRAMS)
    options = parser.parse_args()
    if os.geteuid() != 0:
        print("a private pid namespace takes root")
        return SKIPPED
    # Not a failure within: strace is among what scripts/test installs.
    require(shutil.which("strace"), "there is no strace")
    directory = tempfile.mkdtemp(prefix="dumpctl-cost-")

    def inside():
        try:
            return run(os.path.abspath(options.dumpctl), options.program, directory)
        except Failed as failed:
            print(f"FAIL: {failed}")
            return 1

    try:
        return sandbox.run_inside(inside, TIMEOUT)
    finally:
        shutil.rmtree(directory)


if __name__ == "__main__":
    sys.exit(main())
