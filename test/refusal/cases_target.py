"""What is no process to dump."""

import os
import select
import shutil
import signal
import struct
import subprocess

from registry import Skipped, case
from scene import Stall, require, state_of, trace, tracer_of, wait_until


def _free_pid():
    """A pid that was just freed: the kernel hands out all others first."""
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return pid


def _expect_refused(scene, pid, failure, *words):
    scene.expect_failure(scene.dump(pid), failure, *words)
    scene.expect_images({})


@case
def no_such_pid(scene):
    pid = _free_pid()
    _expect_refused(scene, pid, "NoSuchTask", f"there is no process {pid}", "ps -e")


@case
def pid_beyond_all(scene):
    _expect_refused(scene, 2**31 - 1, "NoSuchTask", 2**31 - 1)


@case
def thread_of_a_process(scene):
    witness = scene.witness("busy")
    thread = witness.threads()[-1]
    require(thread != witness.pid, "the witness has no second thread")
    who = f"{thread} is a thread of process {witness.pid}"
    _expect_refused(scene, thread, "NotALeader", who, f"-t {witness.pid}")
    witness.expect_unharmed()


@case(outside=True)
def kernel_thread(scene):
    kernel_thread_flag = 0x00200000
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as stat:
                fields = stat.read().rpartition(b") ")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[6]) & kernel_thread_flag:
            _expect_refused(scene, name, "KernelThread", f"process {name} (", "kernel thread")
            return
    raise Skipped("no kernel thread is seen from here")


@case
def init_of_the_namespace(scene):
    _expect_refused(scene, 1, "Init", "process 1 (", "dump what it has started")


@case(outside=True)
def init_of_the_host(scene):
    with open("/proc/1/status") as status:
        if "NSpid:\t1\n" not in status.read():
            raise Skipped("this test runs in a pid namespace itself")
    _expect_refused(scene, 1, "Init", "process 1 (", "dump what it has started")


@case
def dumpctl_itself(scene):
    command = " ".join(scene.command("$$"))
    result = scene.run("/bin/sh", "-c", f"exec {command}")
    scene.expect_failure(result, "SelfOrAncestor", "is dumpctl itself")
    scene.expect_images({})


@case
def ancestor_of_dumpctl(scene):
    command = " ".join(scene.command("$PPID"))
    result = scene.run("/bin/sh", "-c", f"/bin/sh -c '{command}; exit $?'; exit $?")
    scene.expect_failure(result, "SelfOrAncestor", "is an ancestor of dumpctl", "from elsewhere")
    scene.expect_images({})


@case
def zombie(scene):
    # Not through the reaper, which would make an end of it.
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    parent = f"process {os.getpid()}"
    _expect_refused(scene, pid, "Zombie", f"process {pid} (", "is a zombie", parent)
    os.waitpid(pid, 0)


@case
def leader_that_has_exited(scene):
    witness = scene.witness("orphan")
    require(witness.state() == "Z", "the main thread has not exited")
    why = "has lost its main thread while 1 "
    _expect_refused(scene, witness.pid, "Zombie", why, "restart the program")
    witness.step()


def _end_tracer(scene, tracer):
    os.kill(tracer, signal.SIGTERM)
    wait_until(lambda: scene.reaper.wait(tracer, 0) is not None, "the end of strace")


@case
def traced_by_somebody(scene):
    witness = scene.witness()
    tracer = trace(scene, witness.pid)
    why = f"is traced by process {tracer} (strace)"
    _expect_refused(scene, witness.pid, "AlreadyTraced", why, "end that")
    require(tracer_of(witness.pid) == tracer, "strace lost it")
    _end_tracer(scene, tracer)
    witness.expect_unharmed()


@case
def traced_by_another_dump(scene):
    witness = scene.witness()
    second = []
    stall = Stall(scene.directory, "memory")

    def dump_again(first):
        require(tracer_of(witness.pid) == first, "the first dump does not trace it")
        other = scene.make_directory("other")
        # Not by the scene, whose files hold the first one's output.
        command = scene.command(witness.pid, images=other)
        done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
        second.append((done.returncode, done.stderr, first))

    first = scene.run(*scene.command(witness.pid, "-R"), fault=stall.fault,
                      meanwhile=stall.during(dump_again))
    scene.expect_success(first)
    code, text, pid = second[0]
    require(code == 9 and f"is traced by process {pid} (dumpctl)" in text, f"{code}: {text}")
    scene.expect_images({}, os.path.join(scene.directory, "other"))
    witness.expect_unharmed()


def _elf32():
    """A program of 32 bits, of one page: for ever pause()."""
    base = 0x08048000
    code = bytes.fromhex("b81d000000" "cd80" "ebf7")  # mov eax, 29 (pause); int 0x80; jmp back
    head = 52 + 32
    ident = b"\x7fELF\x01\x01\x01" + bytes(9)
    elf = ident + struct.pack("<HHIIIIIHHHHHH", 2, 3, 1, base + head, 52, 0, 0, 52, 32, 1, 0, 0, 0)
    size = head + len(code)
    segment = struct.pack("<IIIIIIII", 1, 0, base, base, size, size, 5, 4096)
    return elf + segment + code


def _write_elf32(scene):
    path = os.path.join(scene.directory, "elf32")
    with open(path, "wb") as program:
        program.write(_elf32())
    os.chmod(path, 0o755)
    return path


def _start_elf32(scene):
    pid = scene.start(_write_elf32(scene))
    with open(f"/proc/{pid}/comm") as comm:
        wait_until(lambda: _ended(scene, pid) or _reread(comm) == "elf32\n", "the exec")
    if _ended(scene, pid):
        raise Skipped("this kernel runs no 32-bit programs")
    wait_until(lambda: state_of(pid) == "S", "the 32-bit program")
    return pid


def _ended(scene, pid):
    return scene.reaper.wait(pid, 0) is not None


def _reread(file):
    try:
        file.seek(0)
        return file.read()
    except ProcessLookupError:
        return ""


def _expect_running(scene, pid):
    wait_until(lambda: state_of(pid) == "S", "the 32-bit program to sleep on")
    with open(f"/proc/{pid}/status") as status:
        require("TracerPid:\t0\n" in status.read(), "the 32-bit program is still traced")
    require(scene.reaper.wait(pid, 0) is None, "the 32-bit program ended")


@case
def program_of_32_bits(scene):
    pid = _start_elf32(scene)
    _expect_refused(scene, pid, "ForeignAbi", f"process {pid} (elf32)", "32-bit", "64-bit build")
    _expect_running(scene, pid)


@case
def program_that_looks_32_bits(scene):
    """On kernels that run none: see other_exe.c."""
    status = os.path.join(scene.directory, "status")
    with open(status, "wb") as out:
        pid = scene.start(scene.other_exe, _write_elf32(scene), stdout=out.fileno())
    wait_until(lambda: _ended(scene, pid) or os.path.getsize(status) > 0, "the change of its exe")
    with open(status) as text:
        require(text.read() == "ready\n", "its exe could not be changed")
    _expect_refused(scene, pid, "ForeignAbi", f"process {pid} (other_exe)", "32-bit")
    _expect_running(scene, pid)


@case
def name_that_would_break_the_line(scene):
    """No newline, and nothing that a terminal obeys, comes from the target into a message."""
    scene.witness_program = shutil.copy(scene.witness_program, f"{scene.directory}/a\nb\x1b[1m")
    witness = scene.witness()
    tracer = trace(scene, witness.pid)
    result = scene.dump(witness.pid)
    scene.expect_failure(result, "AlreadyTraced", f"process {witness.pid} (a\\nb\\x1b[1m)")
    _end_tracer(scene, tracer)
    holder = scene.witness("poll", "odd")
    result = scene.dump(holder.pid)
    scene.expect_failure(result, "Refused", "odd\\nname (deleted)")
    for unharmed in (witness, holder):
        unharmed.expect_unharmed()


@case
def files_are_let_go_when_it_runs_on(scene):
    """Who closes a pipe while its images are built has it closed: the other side hears of it."""
    code = """import os, signal
def close(*unused):
    os.close(1)
    os.close(2)
signal.signal(signal.SIGUSR1, close)
os.write(1, b"ready")
while True:
    signal.pause()"""
    ours, theirs = os.pipe()
    pid = scene.start("/usr/bin/python3", "-c", code, stdout=theirs)
    os.close(theirs)
    require(os.read(ours, 5) == b"ready", "it is not ready")

    def have_it_closed(_):
        os.kill(pid, signal.SIGUSR1)
        ended, _, _ = select.select([ours], [], [], 0.5)
        require(ended and os.read(ours, 1) == b"", "the pipe is held open")

    result = scene.dump_stalled(pid, "serialise", have_it_closed, "-R")
    require(result.code == 0, str(result))
    scene.expect_whole_dump()
    os.kill(pid, signal.SIGKILL)
