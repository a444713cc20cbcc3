"""A python3 that shares work with other processes: a pool, queues, locks, shared memory, a manager.

Its semaphores and arrays lie in files of /dev/shm that have no name any more.
"""

import multiprocessing
import os
import queue
import signal
import tempfile
import time
from multiprocessing import resource_tracker, shared_memory

TASKS = 40000
WORKERS = 4
PATIENCE = 40


def fail(message):
    print(f"FAIL: {message}", flush=True)
    os.killpg(0, 9)


def expect_equal(expected, actual, what):
    if expected != actual:
        fail(f"{what}: expected {expected!r}, got {actual!r}")


def wait_until(condition, what):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            fail(f"in vain waited for {what}")
        time.sleep(0.005)


def square(number):
    time.sleep(0.0005)
    return number * number


def answer(numbers, answers):
    """Answers each number; counts them by itself."""
    for count, number in enumerate(iter(numbers.get, None)):
        answers.put((count, number**3))
        numbers.task_done()
    numbers.task_done()


def count_up(total, turns, stop):
    mine = 0
    while not stop.is_set():
        with total.get_lock():
            total.value += 1
        mine += 1
    turns.put(mine)


def hold(semaphore, held, release):
    semaphore.acquire()
    held.set()
    release.wait()
    semaphore.release()


def wait_for(semaphore, begun, done):
    begun.set()
    semaphore.acquire()
    done.set()


def watch(condition, state, seen):
    with condition:
        condition.wait_for(lambda: state[0] == 1)
    seen.put(list(state))


def holdings():
    """The descriptors and threads of the processes below this one."""
    pids = [process.pid for process in multiprocessing.active_children()]
    pids.append(resource_tracker._resource_tracker._pid)
    return [(sorted(os.listdir(f"/proc/{pid}/fd")), os.listdir(f"/proc/{pid}/task")) for pid in pids]


def ignores_signals(pid):
    with open(f"/proc/{pid}/status") as status:
        ignored = int(status.read().partition("SigIgn:")[2].split()[0], 16)
    return ignored >> (signal.SIGINT - 1) & 1 and ignored >> (signal.SIGTERM - 1) & 1


def settle():
    """Till the others have closed what they have no use for any more, by what can be seen."""
    # The tracker is a program of its own, which may still be starting on a busy machine.
    wait_until(lambda: ignores_signals(resource_tracker._resource_tracker._pid), "the tracker")
    before, same = None, 0
    while same < 10:
        now = holdings()
        same = same + 1 if now == before else 0
        before = now
        time.sleep(0.03)


def start(function, *arguments):
    process = multiprocessing.Process(target=function, args=arguments)
    process.start()
    return process


def main():
    tempfile.tempdir = os.getcwd()
    multiprocessing.set_start_method("fork")
    numbers, answers = multiprocessing.JoinableQueue(), multiprocessing.Queue()
    answerer = start(answer, numbers, answers)
    for number in range(10):
        numbers.put(number)
    numbers.join()
    expect_equal((0, 0), answers.get(timeout=PATIENCE), "the first answer")

    total = multiprocessing.Value("q", 0)
    turns, stop = multiprocessing.Queue(), multiprocessing.Event()
    counters = [start(count_up, total, turns, stop) for _ in range(2)]

    semaphore = multiprocessing.BoundedSemaphore(1)
    held, begun, release, done = (multiprocessing.Event() for _ in range(4))
    holder = start(hold, semaphore, held, release)
    held.wait(PATIENCE)
    waiter = start(wait_for, semaphore, begun, done)
    begun.wait(PATIENCE)

    condition = multiprocessing.Condition()
    state, seen = multiprocessing.Array("i", [0] * 5000, lock=False), multiprocessing.Queue()
    watcher = start(watch, condition, state, seen)
    parent, child = multiprocessing.Pipe()
    parent.send({"waits": list(range(1000))})

    manager = multiprocessing.Manager()
    shared = manager.dict(apple="green")
    block = shared_memory.SharedMemory(create=True, size=100000)
    block.buf[:5] = b"block"

    pool = multiprocessing.Pool(WORKERS)
    results = pool.imap(square, range(TASKS), chunksize=10)
    for number in range(100):
        expect_equal(number * number, next(results), "a square")
    wait_until(lambda: total.value > 100, "counting")
    settle()

    print("ready", flush=True)
    wait_until(lambda: os.path.exists("go"), "go")

    expect_equal(False, done.is_set(), "that the semaphore is held")
    expect_equal(False, semaphore.acquire(timeout=0.01), "another turn of the semaphore")
    before = total.value
    wait_until(lambda: total.value > before + 100, "counting on")
    stop.set()
    expect_equal(sum(turns.get(timeout=PATIENCE) for _ in counters), total.value, "the total")
    release.set()
    expect_equal(True, done.wait(PATIENCE), "that who waited has the semaphore")
    with condition:
        state[:3] = [1, 2, 3]
        condition.notify_all()
    expect_equal([1, 2, 3] + [0] * 4997, seen.get(timeout=PATIENCE), "what was shared")
    expect_equal({"waits": list(range(1000))}, child.recv(), "what waited in a pair")

    for number in range(1, 10):
        expect_equal((number, number**3), answers.get(timeout=PATIENCE), "a waiting answer")
    numbers.put(50)
    expect_equal((10, 50**3), answers.get(timeout=PATIENCE), "a new answer")
    numbers.put(None)
    numbers.join()

    shared["plum"] = "blue"
    expect_equal({"apple": "green", "plum": "blue"}, dict(shared), "the manager's")
    again = shared_memory.SharedMemory(name=block.name)
    expect_equal(b"block", bytes(again.buf[:5]), "a named block")
    again.close()
    for number in range(100, 1500):
        expect_equal(number * number, next(results), "a square")
    expect_equal(81, pool.apply(square, (9,)), "a square asked for by now")

    for process in [answerer, *counters, holder, waiter, watcher]:
        process.join(PATIENCE)
        expect_equal(0, process.exitcode, "how a process ended")
    pool.terminate()
    manager.shutdown()
    block.close()
    block.unlink()
    print("PASS", flush=True)


main()
