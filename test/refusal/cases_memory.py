"""How much memory a dump takes for itself: as much for a large process as for a small one."""

import os
import re
import signal
import subprocess
import sys
import threading
import time

from cases_page_server import PLACE, start_page_server
from registry import Skipped, case_each
from scene import PATIENCE, require, wait_until
from streamer import Streamer

MIB = 1 << 20
SMALL = 1 * MIB
LARGE = 256 * MIB
# All buffers together, whatever there is to be dumped.
BUFFERS = 64 * MIB
# By how long they pause.
STREAMERS = {"streamer": 0, "slow_streamer": 0.001}
# Of a tree each process has its part of it.
PROCESSES = 16
FILLED = """
import mmap, os, signal, sys
size, processes = int(sys.argv[1]), int(sys.argv[2])
filled, root = os.pipe(), os.getpid()
children = []
for _ in range(processes - 1):
    if os.getpid() == root:
        children.append(os.fork())
memory = mmap.mmap(-1, size // processes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
for at in range(0, len(memory), mmap.PAGESIZE):
    memory[at] = 1
if os.getpid() != root:
    os.write(filled[1], b"f")
else:
    for _ in children:
        os.read(filled[0], 1)
    open("filled", "w").close()
signal.pause()
"""


def _read_slowly(pipe):
    """All of it, so that whoever writes has to wait."""
    while pipe.read1(4 * MIB):
        time.sleep(0.001)


def _peak_of(pid):
    """Bytes, of a process that lives, or 0."""
    try:
        with open(f"/proc/{pid}/status") as status:
            found = re.search(r"^VmHWM:\s+(\d+) kB$", status.read(), re.MULTILINE)
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(found.group(1)) * 1024 if found else 0


def _peak_while_it_runs(process):
    peak = 0
    deadline = time.monotonic() + 2 * PATIENCE
    while process.poll() is None:
        require(time.monotonic() < deadline, "did not end in time")
        peak = max(peak, _peak_of(process.pid))
        time.sleep(0.001)
    return peak


def _peak_of_dump(scene, way, size):
    """What a dump of a process of that size takes at most."""
    processes = PROCESSES if way == "tree" else 1
    target = scene.start(sys.executable, "-c", FILLED, size, processes)
    filled = os.path.join(scene.directory, "filled")
    wait_until(lambda: os.path.exists(filled), "the memory")
    os.unlink(filled)
    if way == "page_server":
        start_page_server(scene, scene.make_directory(f"pages-{size}"))
    streamer = None
    if way in STREAMERS:
        streamer = Streamer(scene.make_directory(f"images-{size}"), None, STREAMERS[way])
    options = {"archive": ["dump", "-R", "--output", "-"], "page_server": ["dump", "-R", *PLACE],
               "direct": ["dump", "-R", "--snapshot=off", "--direct"], "killed": ["dump"],
               "tree": ["dump", "-R"], "pre-dump": ["pre-dump"]}
    options = options.get(way, ["dump", "-R", f"--snapshot={way}"])
    if streamer:
        options = ["dump", "-R", "--stream", "-D", os.path.join(scene.directory, f"images-{size}")]
    elif way != "archive":
        options += ["-D", scene.make_directory(f"images-{size}")]
    command = [scene.dumpctl, *options, "-t", str(target)]
    with open(os.path.join(scene.directory, "said"), "w+") as said:
        # AddressSanitizer keeps what is freed.
        env = {**os.environ, "ASAN_OPTIONS": "quarantine_size_mb=0:thread_local_quarantine_size_kb=0"}
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, env=env)
        # What is told to a terminal is little; an archive is all that there is.
        threading.Thread(target=_read_slowly, args=(process.stdout,), daemon=True).start()
        try:
            peak = _peak_while_it_runs(process)
        finally:
            process.kill()
            process.wait()
        said.seek(0)
        require(process.returncode == 0, said.read())
    if streamer:
        streamer.join(PATIENCE)
        require(streamer.taken >= size, f"only {streamer.taken} bytes were taken")
    os.kill(target, signal.SIGKILL)
    require(scene.reaper.wait(target, time.monotonic() + PATIENCE) is not None, "the target does not end")
    return peak


@case_each(["cow", "pre-copy", "off", "direct", "killed", "tree", "pre-dump", "archive",
            "page_server", *STREAMERS])
def memory_is_bounded(scene, way):
    with open("/proc/meminfo") as meminfo:
        available = int(re.search(r"^MemAvailable:\s+(\d+) kB$", meminfo.read(),
                                  re.MULTILINE).group(1)) * 1024
    if available < 3 * LARGE:
        raise Skipped("there is too little memory")
    small, large = (_peak_of_dump(scene, way, size) for size in (SMALL, LARGE))
    told = f"{small / MIB:.1f} MiB for {SMALL // MIB}, {large / MIB:.1f} for {LARGE // MIB}"
    print(told)
    require(large < small + BUFFERS, told)
