"""One dump, measured."""

import mmap
import os
import select
import shutil
import signal
import statistics
import subprocess
import time

from target import BenchFailure, Target

COLUMNS = ("wall", "cpu", "pause")
# Of a target with a thread that keeps writing: see Target.extra_of_writer. "after": in the time AFTER.
OF_WRITER = ("writer gap", "writer cpu", "writer after")
AFTER = 1  # second
MADV_POPULATE_WRITE = 23  # Linux 5.14
PATIENCE = 300  # seconds that one dump, or one answer of the target, may take


class TooSlow(BenchFailure):
    pass


def fill_and_drop(directory, size):
    """Memory that is given back at once.

    A virtual machine gets memory from its host page by page when it is first touched, and returns
    what is free for a while: without this, that is most of what is measured, for either dumper. The
    kernel takes blocks of each size from those of that size first: single pages for memory, small
    ones for page cache of a few pages a write, and the largest for that of a long one. So there is
    some of each, one after the other.
    """
    if size == 0:
        return
    with mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as pages:
        pages.madvise(mmap.MADV_NOHUGEPAGE)
        pages.madvise(MADV_POPULATE_WRITE)
    path = os.path.join(directory, "filler")
    for block in (bytes(64 << 10), bytes(2 << 20)):
        with open(path, "wb", buffering=0) as filler:
            for _ in range(size // len(block)):
                filler.write(block)
        os.remove(path)


def spread_directories(directory):
    """Has ext4 put what is made in there anywhere on the disk (chattr(1), T).

    Without a journal it looks at each inode of the same part that was freed in the last minutes
    before it takes another one: after some dumps were removed, that is most of what is measured.
    """
    subprocess.run(["chattr", "+T", directory], stderr=subprocess.DEVNULL, check=False)


class Bench:
    """Where and by what is dumped.

    `as_found`: neither memory nor the disk is made ready, see fill_and_drop, spread_directories.
    """

    def __init__(self, programs, target_program, directory, as_found=False):
        self.programs = programs  # "ours" and "stock", or one of them: how it is started, as words
        self._target_program = target_program
        self._directory = directory
        self._as_found = as_found
        if not as_found:
            spread_directories(directory)

    def target(self, shape):
        return Target(self._target_program, shape.arguments, self._directory, PATIENCE)

    def dump(self, dumper, target, kill=False, expected=0, limit=PATIENCE):
        """One dump: its wall, cpu and pause in seconds, and the bytes of its images.

        The target is killed by it, and has no pause, or goes on. `expected`: so large images, or 0.
        TooSlow when it takes more than `limit` seconds.
        """
        if not self._as_found:
            fill_and_drop(self._directory, expected * 5 // 4)
        self._images = os.path.join(self._directory, f"images-{len(os.listdir(self._directory))}")
        os.mkdir(self._images)
        argv = [*self.programs[dumper], "dump", "-t", str(target.pid), "-D", self._images]
        argv += ["-o", "dump.log"] + ([] if kill else ["-R"])
        try:
            result = self._run(argv, target, kill, limit)
            result["bytes"] = sum(os.stat(path).st_size for path in self._files())
        finally:
            self._empty_images()
        return result

    def page_cache(self, size):
        """The same, of a program that writes so many bytes, and no more."""
        if not self._as_found:
            fill_and_drop(self._directory, size * 5 // 4)
        path = os.path.join(self._directory, "page-cache")
        argv = [os.path.join(os.path.dirname(self._target_program), "page_cache"), path, str(size)]
        said = subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True).stdout
        os.truncate(path, 0)
        wall, cpu = (float(seconds) for seconds in said.split())
        return {"wall": wall, "cpu": cpu}

    def _empty_images(self):
        """Gives their memory back, but keeps the files: see spread_directories."""
        if self._as_found:
            shutil.rmtree(self._images)
            return
        for path in self._files():
            os.truncate(path, 0)

    def _files(self):
        """Of the last dump; also of the parent images that it has brought along."""
        for directory, _, names in os.walk(self._images):
            yield from (os.path.join(directory, name) for name in names)

    def _run(self, argv, target, kill, limit):
        with open(os.path.join(self._directory, "said"), "wb") as said:
            target.reset()
            inside = 0 if kill else target.cpu()
            begun = time.monotonic()
            pid = os.posix_spawn(
                argv[0],
                argv,
                os.environ,
                file_actions=[(os.POSIX_SPAWN_DUP2, said.fileno(), fd) for fd in (1, 2)],
            )
            status, usage = wait(pid, begun + limit)
            wall = time.monotonic() - begun
        if status == -signal.SIGKILL and wall >= limit:
            raise TooSlow(f"{' '.join(argv)} took more than {limit} s")
        if status != 0 or not os.path.exists(os.path.join(self._images, "inventory.img")):
            raise BenchFailure(f"{' '.join(argv)} ended with {status}:\n{self._log()}")
        result = {"wall": wall, "cpu": usage.ru_utime + usage.ru_stime}
        if kill:
            result["cpu"] += target.wait_for_its_death()
        else:
            seen = target.seen()
            result["pause"] = seen.pause
            result["cpu"] += target.cpu() - inside
            if target.writes:
                self._add_writer(result, target, seen)
        return result

    def _add_writer(self, result, target, seen):
        result["writer gap"] = seen.writer_gap
        result["writer cpu"] = target.extra_of_writer(seen)
        result["cpu"] += result["writer cpu"]
        time.sleep(AFTER)
        both = target.seen()
        result["writer after"] = target.extra_of_writer(both) - result["writer cpu"]

    def _log(self):
        text = ""
        for path in (os.path.join(self._directory, "said"), os.path.join(self._images, "dump.log")):
            if os.path.exists(path):
                with open(path, errors="replace") as log:
                    text += "".join(log.readlines()[-10:])
        return text


def wait(pid, deadline):
    pidfd = os.pidfd_open(pid)
    try:
        poller = select.poll()
        poller.register(pidfd, select.POLLIN)
        if not poller.poll(max(0, deadline - time.monotonic()) * 1000):
            os.kill(pid, signal.SIGKILL)
    finally:
        os.close(pidfd)
    _, status, usage = os.wait4(pid, 0)
    return os.waitstatus_to_exitcode(status), usage


def quiet_of(target):
    """What it sees while nothing is dumped."""
    quiet = {"quiet": statistics.median(target.seen_for(0.05).pause for _ in range(5))}
    if target.writes:
        quiet["quiet writer gap"] = target.quiet.writer_gap
    return quiet


def medians(samples):
    """Of samples of one dumper, by column."""
    names = [name for name in (*COLUMNS, *OF_WRITER, "bytes") if name in samples[0]]
    return {name: statistics.median(sample[name] for sample in samples) for name in names}
