"""What every case has: a place, the program under test, and witnesses."""

import fcntl
import os
import re
import shutil
import signal
import struct
import subprocess
import time

import proc_facts
import sandbox
import stalls
from proc_facts import state_of
from registry import Failed, Skipped

PATIENCE = 20  # seconds that anything here may take on a busy machine


def require(condition, message):
    if not condition:
        raise Failed(message)


def wait_until(condition, what):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        require(time.monotonic() < deadline, f"in vain waited for {what}")
        time.sleep(0.002)


def fallbacks(result):
    """The lines that tell what was done in another way than asked for."""
    return [line for line in result.out.splitlines() if line.startswith("  fallback ")]


def expect_fallback(result, *words):
    told = any(all(word in line for word in words) for line in fallbacks(result))
    require(told, f"not told {words}: {result}")


def has_ended(task):
    """Nothing of it is left, or no more than an exit status."""
    return state_of(task) in ("", "Z", "X")


def is_unlocked(images):
    """The end of dumpctl may be later than its last image, and that of those who put back what it
    could not is later still."""
    directory = os.open(images, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(directory)
    return True


class Stall(stalls.Stall):
    """One that waits for its point."""

    def __init__(self, directory, point):
        super().__init__(os.path.join(directory, "stalled"), point)

    def during(self, act):
        """What to do meanwhile."""

        def reach_and_act(dumpctl):
            wait_until(self.is_reached, "the point where dumpctl stands")
            with self:
                act(dumpctl)

        return reach_and_act


class Result:
    """How a dumpctl ended: its exit code, and what it said."""

    def __init__(self, code, out, err):
        self.code = code
        self.out = out
        self.err = err

    def __str__(self):
        return f"exit code {self.code}\n--- stdout:\n{self.out}--- stderr:\n{self.err}"


def _tail(path):
    with open(path, errors="replace") as text:
        return text.read()[-2000:]


class Scene:
    def __init__(self, options, directory):
        self.directory = directory
        self.reaper = sandbox.Reaper()
        # A copy: whoever a case runs it as can reach this place, but maybe not the build's.
        self.dumpctl = shutil.copy(options.dumpctl, os.path.join(directory, "dumpctl"))
        self.witness_program = os.path.abspath(options.witness)
        self.other_exe = os.path.abspath(options.other_exe)
        self._killed_at_call = os.path.join(os.path.dirname(self.witness_program),
                                            "killed_at_call")
        self.options_source = options.options
        with open(options.failures) as header:
            pairs = re.findall(r"^  k(\w+) = (\d+),", header.read(), re.MULTILINE)
        self._codes = {name: int(code) for name, code in pairs}
        self.images = self.make_directory("images")

    def make_directory(self, name):
        path = os.path.join(self.directory, name)
        os.mkdir(path)
        return path

    def start(self, *argv, **arguments):
        return self.reaper.start([str(a) for a in argv], cwd=self.directory, **arguments)

    def witness(self, mode="poll", holding=None):
        return Witness(self, mode, holding)

    def command(self, pid, *options, images=None):
        images = self.images if images is None else images
        return [self.dumpctl, "dump", "-t", str(pid), "-D", images, *options]

    def dump_killed_at(self, calls, number, delay, pid, *options):
        """A dump that is killed at one of these calls: see killed_at_call.c. (result, whether it
        was killed, how many calls there were since or in all)."""
        wrapper = (self._killed_at_call, calls, str(number), str(delay))
        result = self.dump(pid, *options, wrapper=wrapper)
        self.expect_success(result)
        told = re.search(r"^(killed, and|not killed, of) (\d+) calls", result.out, re.MULTILINE)
        require(told, f"not told whether it was killed: {result}")
        return result, told.group(1).startswith("killed"), int(told.group(2))

    def dump(self, pid, *options, images=None, fault="", wrapper=()):
        return self.run(*wrapper, *self.command(pid, *options, images=images), fault=fault)

    def run(self, *argv, fault="", features="", meanwhile=None):
        """Runs a command to its end, and meanwhile(pid) once it runs.

        `features` are forced down (KernelFeatures::Probe).
        """
        out_path = os.path.join(self.directory, "stdout")
        err_path = os.path.join(self.directory, "stderr")
        with open(out_path, "wb") as out, open(err_path, "wb") as err:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                cwd=self.directory,
                env={**os.environ, "DUMPCTL_FAULT": fault, "DUMPCTL_KERNEL_FEATURES": features},
                preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_SETMASK, []),
            )
            if meanwhile:
                try:
                    meanwhile(process.pid)
                except Failed as failure:
                    process.kill()
                    process.wait()
                    raise Failed(f"{failure}; meanwhile: {_tail(out_path)}{_tail(err_path)}")
            try:
                code = process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise Failed(f"{' '.join(argv)}: did not end in time")
        with open(out_path, errors="replace") as out, open(err_path, errors="replace") as err:
            return Result(code, out.read(), err.read())

    def dump_stalled(self, pid, point, meanwhile, *options, wrapper=()):
        """A dump that stands at a fault point for as long as meanwhile(pid of dumpctl) takes."""
        log = os.path.join(self.directory, "log")
        stall = Stall(self.directory, point)

        def act(dumpctl):
            wait_until(lambda: _blocks(dumpctl, signal.SIGTERM), "a dump that holds signals back")
            meanwhile(dumpctl)

        command = self.command(pid, "-v4", "-o", log, *options)
        return self.run(*wrapper, *command, fault=stall.fault, meanwhile=stall.during(act))

    def expect_success(self, result):
        require(result.code == 0 and result.err == "", f"expected success, got {result}")

    def expect_failure(self, result, failure, *words):
        """The documented exit code, nothing on stdout, and one line that holds all `words`."""
        self.expect_code(result, failure)
        lines = result.err.splitlines()
        require(len(lines) == 1, f"expected one line on stderr, got {result}")
        for word in words:
            require(str(word) in lines[0], f"{word!r} is missing from {lines[0]!r}")

    def expect_code(self, result, failure, silent=True):
        require(result.code == self._codes[failure], f"expected k{failure}, got {result}")
        require(result.err.startswith("dumpctl: "), f"who says that? {result}")
        require(not silent or result.out == "", f"expected nothing on stdout, got {result}")

    def expect_images(self, expected, images=None):
        """Exactly what contents() gave stands in the directory: hidden names count too."""
        now = contents(self.images if images is None else images)
        require(
            now == expected,
            f"the images directory has {sorted(now)}, expected {sorted(expected)};"
            f" of other contents: {[n for n in now if now[n] != expected.get(n)]}",
        )

    def expect_whole_dump(self, images=None):
        images = self.images if images is None else images
        names = os.listdir(images)
        require("inventory.img" in names, f"no inventory among {names}")
        require(not any(n.startswith(".") for n in names), f"something is left over: {names}")
        shown = self.run(self.dumpctl, "show", "--json", images)
        require(shown.code == 0, f"the dump does not read back: {shown.err}")


def _blocks(pid, number):
    with open(f"/proc/{pid}/status") as status:
        mask = re.search(r"^SigBlk:\t(\w+)$", status.read(), re.MULTILINE).group(1)
    return int(mask, 16) >> (number - 1) & 1 == 1


def contents(directory):
    """name -> bytes of all files; None for what is no file."""
    found = {}
    for name in os.listdir(directory):
        path = os.path.join(directory, name)
        found[name] = None
        if os.path.isfile(path) and not os.path.islink(path):
            with open(path, "rb") as file:
                found[name] = file.read()
    return found


class Witness:
    """A running witness.c. expect_unharmed() is what every case ends with."""

    def __init__(self, scene, mode, holding):
        self._scene = scene
        self._mode = mode
        self._place = os.path.join(scene.directory, f"witness-{len(os.listdir(scene.directory))}")
        os.mkdir(self._place)
        fifo = os.path.join(self._place, "fifo")
        os.mkfifo(fifo)
        # Both ends are ours as well, so that neither a poke nor the witness ever waits for an open.
        self._fifo = os.open(fifo, os.O_RDWR | os.O_CLOEXEC)
        status = os.open(os.path.join(self._place, "status"), os.O_RDWR | os.O_CREAT | os.O_APPEND)
        argv = [scene.witness_program, mode, "progress", "fifo"]
        self.pid = scene.reaper.start(
            argv + ([holding] if holding else []), cwd=self._place, stdout=status
        )
        os.close(status)
        wait_until(lambda: self._has_ended() or "ready\n" in self.status(), "the witness")
        require(not self._has_ended(), f"the witness did not start: {self.status()}")
        if mode in ("poll", "orphan"):
            self.step()
        if mode != "orphan":  # of a dead leader there is nothing to compare
            self.remember()

    def remember(self):
        """What stands now must stand in the end."""
        self._before = self._snapshot()

    def status(self):
        with open(os.path.join(self._place, "status"), errors="replace") as status:
            return status.read()

    def stop(self):
        os.kill(self.pid, signal.SIGSTOP)
        wait_until(lambda: self.state() == "T", "the stop")
        self.remember()

    def state(self):
        return state_of(self.pid)

    def threads(self):
        return sorted(int(tid) for tid in os.listdir(f"/proc/{self.pid}/task"))

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)

    def step(self):
        """Makes it check itself, and take note of that."""
        before = self._counters()
        if self._mode != "busy":
            os.write(self._fifo, b"x")
        for _ in range(2 if self._mode == "busy" else 1):  # the first may have begun before
            wait_until(
                lambda: self._has_ended() or all(a > b for a, b in zip(self._counters(), before)),
                f"a step of the witness, in state {self.state()}",
            )
            require(not self._has_ended(), f"the witness ended: {self.status()}")
            before = self._counters()

    def expect_unharmed(self):
        """Alive, as it was, traced by nobody, and its own checks go on."""
        require(not self._has_ended(), f"the witness ended: {self.status()}")
        # A thread that was let go a moment ago may not have gone back to its sleep, or stop, yet.
        stopped = self._before.get(f"{self.pid} State") == "T"
        wait_until(lambda: self.state() == "T" if stopped else self.state() not in "tD",
                   f"the end of its stop, {self.state()}")
        # It blocks signals as long as it is on its way home from what a killed dumpctl had it do.
        wait_until(lambda: not any(" SigBlk: " in line for line in self._changes()),
                   "signals to be let through")
        changed = self._changes()
        require(not changed, "the dump changed:\n" + "\n".join(changed) + "\n" + self.status())
        if self.state() == "T":
            os.kill(self.pid, signal.SIGCONT)
        self.step()

    def _changes(self):
        return proc_facts.differences(self._before, self._snapshot())

    def goes_on(self):
        """Whether it does, or is dead, as soon as either shows: on a busy machine whoever was killed
        may be there for long, but never runs again."""
        before = self._counters()
        wait_until(
            lambda: self.is_dead() or all(a > b + 1 for a, b in zip(self._counters(), before)),
            "the end of the witness, or a step of it",
        )
        return not self.is_dead()

    def expect_gone(self):
        wait_until(self._has_ended, "the end of the witness")

    def is_dead(self):
        return self.state() in ("Z", "X", "")

    def _snapshot(self):
        facts = proc_facts.snapshot(self.pid)
        tracers = {text for name, text in facts.items() if name.endswith(" TracerPid")}
        require(tracers == {"0"}, f"traced by {tracers}")
        # A thread that writes is now and then in the midst of it.
        busy = {name: "S" for name, text in facts.items() if name.endswith(" State") and text == "D"}
        return facts | busy

    def _counters(self):
        count = 4 if self._mode == "busy" else 1
        with open(os.path.join(self._place, "progress"), "rb") as progress:
            return struct.unpack(f"={count}Q", progress.read().ljust(8 * count, b"\0"))

    def _has_ended(self):
        return self._scene.reaper.wait(self.pid, 0) is not None


def skip_without(program):
    path = shutil.which(program)
    if path is None:
        raise Skipped(f"{program} is not installed")
    return path


def tracer_of(pid):
    with open(f"/proc/{pid}/status") as status:
        return int(re.search(r"^TracerPid:\t(\d+)$", status.read(), re.MULTILINE).group(1))


def trace(scene, pid):
    """The pid of an strace that traces it."""
    strace = skip_without("strace")
    tracer = scene.start(strace, "-q", "-o", "/dev/null", "-p", pid)
    wait_until(lambda: tracer_of(pid) == tracer, "strace")
    return tracer
