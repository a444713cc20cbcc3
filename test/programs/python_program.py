"""A python3 with threads, timers, open files, a random state and a database in memory."""

import hashlib
import itertools
import os
import queue
import random
import signal
import sqlite3
import threading
import time

SEED = 20241
ROWS = 500


def fail(message):
    print(f"FAIL: {message}", flush=True)
    os._exit(1)


def expect_equal(expected, actual, what):
    if expected != actual:
        fail(f"{what}: expected {expected!r}, got {actual!r}")


class Worker(threading.Thread):
    """Hashes its own chain of numbers until it is told to stop."""

    def __init__(self, number):
        super().__init__(name=f"worker-{number}")
        self.number = number
        self.steps = 0
        self.digest = self._first()
        self.stop = threading.Event()

    def _first(self):
        return hashlib.sha256(b"%d" % self.number).digest()

    def run(self):
        while not self.stop.is_set():
            self.digest = hashlib.sha256(self.digest).digest()
            self.steps += 1

    def expected(self):
        digest = self._first()
        for _ in range(self.steps):
            digest = hashlib.sha256(digest).digest()
        return digest


def squares():
    total = 0
    for number in itertools.count():
        total += number * number
        yield number, total


ticks = 0


def tick(number, frame):
    global ticks
    ticks += 1


def wait_until(condition, what):
    deadline = time.monotonic() + 20
    while not condition():
        if time.monotonic() > deadline:
            fail(f"in vain waited for {what}")
        time.sleep(0.005)


def main():
    random.seed(SEED)
    drawn = [random.random() for _ in range(1000)]
    generator = squares()
    for _ in range(100):
        next(generator)
    database = sqlite3.connect(":memory:")
    database.execute("create table numbers (n integer, text text)")
    database.executemany(
        "insert into numbers values (?, ?)", ((n, f"row {n}" * 9) for n in range(ROWS))
    )
    rows = database.execute("select n from numbers order by n")
    for n in range(50):
        expect_equal((n,), rows.fetchone(), "a row")

    with open("lines", "w") as lines:
        lines.writelines(f"line {n}\n" for n in range(10000))
    reader = open("lines")
    for n in range(1234):
        expect_equal(f"line {n}\n", reader.readline(), "a line")
    raw = os.open("lines", os.O_RDONLY)
    os.lseek(raw, 77, os.SEEK_SET)
    writer = open("written", "w")
    writer.write("not flushed yet\n")

    signal.signal(signal.SIGALRM, tick)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
    signal.setitimer(signal.ITIMER_VIRTUAL, 3600, 1800)

    workers = [Worker(number) for number in range(3)]
    for worker in workers:
        worker.start()
    numbers, answers = queue.Queue(), queue.Queue()

    def answer():
        while (number := numbers.get()) is not None:
            answers.put(number**50)

    answerer = threading.Thread(target=answer)
    answerer.start()
    numbers.put(3)
    expect_equal(3**50, answers.get(), "an answer")
    wait_until(lambda: ticks > 3 and all(w.steps > 100 for w in workers), "work")
    pid, inode = os.getpid(), os.fstat(raw).st_ino

    print("ready", flush=True)
    wait_until(lambda: os.path.exists("go"), "go")

    ticks_before, steps_before = ticks, [w.steps for w in workers]
    wait_until(lambda: ticks > ticks_before + 3, "the timer")
    wait_until(lambda: all(w.steps > s for w, s in zip(workers, steps_before)), "the threads")
    expect_equal(0.02, round(signal.getitimer(signal.ITIMER_REAL)[1], 6), "the timer's interval")
    left, interval = signal.getitimer(signal.ITIMER_VIRTUAL)
    expect_equal((True, 1800.0), (3000 < left <= 3600, interval), "the virtual timer")
    expect_equal(signal.SIG_IGN, signal.getsignal(signal.SIGUSR1), "a signal's disposition")
    os.kill(os.getpid(), signal.SIGUSR1)
    for worker in workers:
        worker.stop.set()
        worker.join()
        expect_equal(worker.expected(), worker.digest, worker.name)
    numbers.put(7)
    expect_equal(7**50, answers.get(timeout=20), "an answer")
    numbers.put(None)
    answerer.join()

    twin = random.Random(SEED)
    expect_equal(drawn, [twin.random() for _ in range(1000)], "the numbers drawn")
    expected = [twin.random() for _ in range(1000)]
    expect_equal(expected, [random.random() for _ in range(1000)], "the random state")
    expect_equal((100, sum(n * n for n in range(101))), next(generator), "a generator")
    expect_equal([(n,) for n in range(50, ROWS)], rows.fetchall(), "the rest of the rows")
    text = database.execute("select group_concat(text, '') from numbers").fetchone()[0]
    expect_equal("".join(f"row {n}" * 9 for n in range(ROWS)), text, "the database")
    expect_equal([f"line {n}\n" for n in range(1234, 10000)], reader.readlines(), "the file's rest")
    expect_equal(77, os.lseek(raw, 0, os.SEEK_CUR), "an offset")
    expect_equal((pid, inode), (os.getpid(), os.fstat(raw).st_ino), "pid and file")
    writer.write("flushed now\n")
    writer.close()
    with open("written") as written:
        expect_equal("not flushed yet\nflushed now\n", written.read(), "what was written")
    # At its end the interpreter puts dispositions back, and the signal would kill it.
    signal.setitimer(signal.ITIMER_REAL, 0)
    print("PASS", flush=True)


main()
