"""What a process can hold that stands in the way: all of it is told at once, with its remedy."""

import ctypes
import os
import re
import signal
import struct
import subprocess

import sandbox
from registry import Skipped, case, case_each
from scene import require, trace, tracer_of, wait_until


def _held(witness, kind):
    """What the witness says it holds: [(number or address, name)]."""
    found = re.findall(rf"^{kind} (\S+) (.+)$", witness.status(), re.MULTILINE)
    require(found, f"the witness holds nothing: {witness.status()}")
    return found


def _refusals(scene, result, witness):
    """The lines under the headline: [(resource, why, remedy)]."""
    scene.expect_code(result, "Refused")
    headline, *lines = result.err.splitlines()
    prefix = f"  process {witness.pid}, "
    found = []
    for line in lines:
        require(line.startswith(prefix), f"what is {line!r}?")
        resource, _, rest = line[len(prefix):].partition(": ")
        why, _, remedy = rest.rpartition("; ")
        require(resource and why and remedy, f"without a reason or a remedy: {line!r}")
        found.append((resource, why, remedy))
    require(f", for {len(found)} reasons:" in headline, f"{headline!r}, with {len(found)} lines")
    return found


@case
def descriptors_of_every_type(scene):
    witness = scene.witness("poll", "fds")
    refusals = _refusals(scene, scene.dump(witness.pid), witness)
    expected = []
    for number, kind in _held(witness, "fd"):
        link = os.readlink(f"/proc/{witness.pid}/fd/{number}")
        expected.append(f"fd {number} ({kind}, {link}")
    require(len(expected) >= 8, f"the witness holds only {expected}")
    resources = [resource for resource, _, _ in refusals]
    for start in expected:
        require(any(r.startswith(start) for r in resources), f"{start!r} is not among {resources}")
    require(len(resources) == len(expected), f"more than was held: {resources}, {expected}")
    protocols = [r for r in resources if "(socket, " in r]
    require(any("UNIX" in r for r in protocols), f"no protocol is named in {protocols}")
    require(any("VSOCK" in r for r in protocols), f"no protocol is named in {protocols}")
    scene.expect_images({})
    witness.expect_unharmed()


@case
def more_sockets_than_may_be_open(scene):
    """Told before anything is frozen, where no copy of each can be held."""
    code = """import socket, sys, time
held = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(200)]
print("ready", flush=True)
time.sleep(60)"""
    path = os.path.join(scene.directory, "sockets")
    with open(path, "wb") as out:
        pid = scene.start("/usr/bin/python3", "-c", code, stdout=out.fileno())
    wait_until(lambda: os.path.getsize(path) > 0, "200 sockets")
    result = scene.dump(pid, "-R", wrapper=("/usr/bin/prlimit", "--nofile=100:100"))
    scene.expect_failure(result, "Refused", "refused before anything was changed", "of 200 ",
                         "may have 100 files open", "ulimit -n")
    scene.expect_images({})
    os.kill(pid, signal.SIGKILL)


@case
def mappings_of_every_kind(scene):
    witness = scene.witness("poll", "maps")
    refusals = _refusals(scene, scene.dump(witness.pid), witness)
    held = _held(witness, "map")
    require(len(held) >= 2, f"the witness holds only {held}")
    for address, kind in held:
        matching = [r for r in refusals if r[0].startswith(f"mapping {address}-") and kind in r[1]]
        require(len(matching) == 1, f"{address}, {kind} is not among {refusals}")
    scene.expect_images({})
    witness.expect_unharmed()


@case
def sysv_objects_that_others_have(scene):
    witness = scene.witness("poll", "sysv")
    libc = ctypes.CDLL(None, use_errno=True)
    libc.shmat.restype = ctypes.c_void_p
    memory = libc.shmat(_held_number(witness, "common"), None, 0)
    require(memory != ctypes.c_void_p(-1).value, "shmat failed")
    # semop(2) by ourselves: {sem_num, sem_op, sem_flg}.
    operation = struct.pack("=HhH", 1, 1, 0)
    require(libc.semop(_held_number(witness, "set"), operation, 1) == 0, "semop failed")
    message = ctypes.create_string_buffer(12)
    require(libc.msgrcv(_held_number(witness, "queue"), message, 4, 0, 0) == 4, "msgrcv failed")
    refusals = _refusals(scene, scene.dump(witness.pid), witness)
    expected = [(f"SysV shared memory segment {_held_number(witness, 'cut')}", "unmapped"),
                (f"SysV shared memory segment {_held_number(witness, 'common')}", "outside"),
                (f"SysV semaphores {_held_number(witness, 'set')}", f"process {os.getpid()} "),
                (f"SysV message queue {_held_number(witness, 'queue')}", f"process {os.getpid()} ")]
    found = [(resource, why) for resource, why, _ in refusals]
    require(len(found) == len(expected), f"{found}")
    for resource, words in expected:
        require(any(r == resource and words in why for r, why in found), f"{resource}: {found}")
    scene.expect_images({})
    witness.expect_unharmed()


@case
def sysv_queue_that_holds_more_than_a_new_one_may(scene):
    witness = scene.witness("poll", "sysv")
    queue = _held_number(witness, "queue")
    with open("/proc/sys/kernel/msgmnb", "r+") as limit:
        limit.write("3")
    refusals = _refusals(scene, scene.dump(witness.pid), witness)
    found = [why for resource, why, _ in refusals if resource == f"SysV message queue {queue}"]
    require(len(found) == 1 and "it holds 4 bytes" in found[0], f"{refusals}")
    scene.expect_images({})
    witness.expect_unharmed()


@case
def requests_under_way(scene):
    """Of native asynchronous I/O, and of which none ends."""
    witness = scene.witness("poll", "aio")
    result = scene.dump(witness.pid)
    require("refused before anything was changed" in result.err, result.err)
    refusals = _refusals(scene, result, witness)
    held = _held(witness, "map")
    require(len(refusals) == len(held), f"{refusals}")
    for address, why in held:
        matching = [r for r in refusals if r[0].startswith(f"mapping {address}-") and why in r[1]]
        require(len(matching) == 1, f"{address}, {why} is not among {refusals}")
    scene.expect_images({})
    witness.expect_unharmed()
    result = scene.run(*scene.command(witness.pid), features="-bpf_task_vma")
    scene.expect_code(result, "Refused")
    require(result.err.count("only a BPF program tells") == len(held), result.err)
    scene.expect_images({})
    witness.expect_unharmed()


@case
def events_that_nobody_has_read(scene):
    witness = scene.witness("poll", "unread")
    result = scene.dump(witness.pid)
    scene.expect_code(result, "Refused")
    for number, kind in _held(witness, "fd"):
        start = f"fd {number} ({kind}, anon_inode:"
        require(start in result.err, f"{start!r} is not in {result.err}")
    require(result.err.count("events wait in it") == len(_held(witness, "fd")), result.err)
    require("before anything was changed" in result.err, result.err)
    scene.expect_images({})
    witness.expect_unharmed()


@case
def deleted_file_beyond_the_limit(scene):
    witness = scene.witness("poll", "odd")
    result = scene.dump(witness.pid, "--ghost-limit", "2047K")
    scene.expect_failure(result, "Refused", "of its 2097152 bytes", "--ghost-limit 2097152")
    scene.expect_images({})
    witness.expect_unharmed()
    scene.expect_success(scene.dump(witness.pid, "-R", "--ghost-limit", "2M"))
    scene.expect_whole_dump()
    require(os.path.getsize(f"{scene.images}/ghost-file-1.img") > 2 << 20, "it was not saved")
    witness.expect_unharmed()


def _linked(scene):
    """A witness of a file whose name is gone, and what tells the names that a dump has made."""
    witness = scene.witness("poll", "linked")
    [(number, _)] = _held(witness, "fd")
    place = os.path.dirname(os.readlink(f"/proc/{witness.pid}/fd/{number}"))
    return witness, lambda: [n for n in os.listdir(place) if n.startswith("link_remap")]


@case
def link_for_a_process_that_runs_on(scene):
    witness, links = _linked(scene)
    scene.expect_failure(scene.dump(witness.pid, "-R"), "Refused", "first (deleted)", "--link-remap")
    result = scene.dump(witness.pid, "-R", "--link-remap")
    scene.expect_failure(result, "Refused", "first (deleted)", "without --leave-running")
    scene.expect_images({})
    require(not links(), f"left behind: {links()}")
    witness.expect_unharmed()


@case_each(("fail", "kill"))
def link_of_a_dump_that_does_not_stand(scene, end):
    witness, links = _linked(scene)
    result = scene.dump(witness.pid, "--link-remap", fault=f"commit={end}")
    require(result.code != 0, f"it was to fail: {result}")
    wait_until(lambda: not links(), "the end of the link")
    witness.expect_unharmed()


@case
def link_of_an_earlier_dump(scene):
    """Its images need it, whatever comes after."""
    witness, links = _linked(scene)
    other = scene.make_directory("other")
    result = scene.dump(witness.pid, "--link-remap", fault="resume=fail", images=other)
    scene.expect_code(result, "Unfinished")
    require(len(links()) == 1, f"expected one link, found {links()}")
    scene.expect_success(scene.dump(witness.pid, "--link-remap"))
    require(len(links()) == 2, f"expected another link, found {links()}")
    witness.expect_gone()


@case
def deleted_file_of_hugetlbfs(scene):
    with open("/proc/filesystems") as known:
        if "hugetlbfs" not in known.read():
            raise Skipped("no hugetlbfs")
    witness = scene.witness("poll", "hugetlbfs")
    result = scene.dump(witness.pid)
    scene.expect_failure(result, "Refused", "huge/gone (deleted)", "files of hugetlbfs")
    scene.expect_images({})
    witness.expect_unharmed()
    mounted = os.path.realpath(f"/proc/{witness.pid}/cwd/huge")
    subprocess.run(["umount", "--lazy", mounted], check=True)


@case
def file_below_another_mount(scene):
    witness = scene.witness("poll", "below")
    [(number, _)] = _held(witness, "fd")
    over = os.path.dirname(os.readlink(f"/proc/{witness.pid}/fd/{number}"))
    sandbox.mount("over", over, "tmpfs")
    result = scene.dump(witness.pid, "-R")
    why = "another mount lies over its path"
    scene.expect_failure(result, "Refused", f"fd {number} (regular file, {over}/below)", why)
    scene.expect_images({})
    subprocess.run(["umount", over], check=True)
    scene.expect_success(scene.dump(witness.pid, "-R"))
    witness.expect_unharmed()


@case
def descriptor_of_a_grandchild(scene):
    """The whole tree is looked over before anything is frozen."""
    witness = scene.witness("poll", "tree")
    grandchild = _held_number(witness, "grandchild")
    if not any("io_uring" in link for link in _links(grandchild)):
        raise Skipped("no io_uring")
    result = scene.dump(witness.pid)
    scene.expect_failure(result, "Refused", f"process {grandchild}, fd ", "(io_uring, ")
    scene.expect_images({})
    witness.expect_unharmed()


@case
def tree_with_a_traced_child(scene):
    witness = scene.witness("poll", "tree")
    child = _held_number(witness, "child")
    tracer = trace(scene, child)
    result = scene.dump(witness.pid)
    why = f"is traced by process {tracer} (strace)"
    scene.expect_failure(result, "AlreadyTraced", f"process {child} (", why)
    scene.expect_images({})
    os.kill(tracer, signal.SIGTERM)
    wait_until(lambda: tracer_of(child) == 0, "the end of strace")
    witness.expect_unharmed()


@case
def kin_of_every_kind(scene):
    witness = scene.witness("poll", "kin")
    result = scene.dump(witness.pid)
    pids = {kind: _held_number(witness, kind) for kind in ("sharer", "cloner", "adopted")}
    scene.expect_code(result, "Refused")
    for start in (
        f"process {pids['sharer']}, working directory and umask: it shares them with process ",
        f"process {pids['cloner']}, memory: it shares them with process ",
        f"process {pids['adopted']}, session {pids['adopted'] - 1}: its parent, ",
    ):
        require(f"\n  {start}" in result.err, f"{start!r} is not in {result.err}")
    require("for 3 reasons:" in result.err, result.err)
    scene.expect_images({})
    witness.expect_unharmed()


@case
def shared_memory_on_both_sides_of_other(scene):
    """Of which a restore would wait for ever."""
    witness = scene.witness("poll", "crossed")
    result = scene.dump(witness.pid, "-R")
    scene.expect_code(result, "Refused")
    require(f"process {witness.pid}, anonymous shared memory: " in result.err, result.err)
    require("a restore would wait for ever" in result.err, result.err)
    scene.expect_images({})
    witness.expect_unharmed()


@case
def zombie_of_another_end(scene):
    witness = scene.witness("poll", "zombie")
    result = scene.dump(witness.pid, "-R")
    zombie = _held_number(witness, "zombie")
    scene.expect_failure(result, "Refused", f"process {zombie}, zombie (", "ended with 200", "told 72")
    scene.expect_images({})
    witness.expect_unharmed()


def _held_number(witness, kind):
    found = re.search(rf"^{kind} (\d+)$", witness.status(), re.MULTILINE)
    require(found, f"no {kind} in {witness.status()}")
    return int(found.group(1))


def _links(pid):
    return [os.readlink(f"/proc/{pid}/fd/{number}") for number in os.listdir(f"/proc/{pid}/fd")]


def in_a_foreign_session(scene):
    """A process of a session whose leader goes on beside it."""
    shell = scene.start("/bin/sh", "-c", "sleep 1000 & echo $! >child; wait")
    path = os.path.join(scene.directory, "child")
    wait_until(lambda: os.path.exists(path) and os.path.getsize(path) > 0, "the shell")
    with open(path) as file:
        child = int(file.read())
    wait_until(lambda: os.readlink(f"/proc/{child}/exe").endswith("/sleep"), "sleep")
    return shell, child


@case
def session_of_somebody_else(scene):
    shell, child = in_a_foreign_session(scene)
    result = scene.dump(child)
    scene.expect_failure(result, "Refused", f"session {shell}", "add --shell-job (-j)")
    scene.expect_images({})
    scene.expect_success(scene.dump(child, "-j", "-R"))
    scene.expect_whole_dump()
    with open(f"/proc/{child}/status") as status:
        require("TracerPid:\t0\n" in status.read(), "sleep is still traced")
    os.kill(child, signal.SIGTERM)


@case_each(("frozen", "pre-copy"))
def thread_that_does_not_stop(scene, when):
    """To be dumped, or to have writes to its memory watched before that."""
    witness = scene.witness("vfork")
    sleeper = witness.threads()[-1]
    how = ("-R", "--snapshot=pre-copy") if when == "pre-copy" else ()
    result = scene.dump(witness.pid, "--timeout", "1", *how)
    who = f"process {witness.pid}: thread {sleeper} "
    scene.expect_failure(result, "Timeout", who, "--timeout")
    scene.expect_images({})
    witness.step()
    with open(f"/proc/{witness.pid}/task/{sleeper}/status") as status:
        text = status.read()
    require("TracerPid:\t0\n" in text and "State:\tD" in text, f"the sleeper is {text}")


@case
def guards_on_a_kernel_that_does_not_tell_them(scene):
    """As Linux 6.13 has them: they look like swapped memory, until it is read."""
    witness = scene.witness("poll", "guards")
    if "guarded\n" not in witness.status():
        raise Skipped("this kernel has no guard regions")
    for forced in ("-pagemap_scan_guard,-pagemap_guard",
                   "-pagemap_scan,-pagemap_scan_guard,-pagemap_guard"):
        result = scene.run(*scene.command(witness.pid), features=forced)
        who = f"process {witness.pid}, memory at 0x"
        scene.expect_failure(result, "Refused", who, "MADV_GUARD_INSTALL", "run Linux 6.15")
        scene.expect_images({})
        witness.expect_unharmed()


SYS_KEYCTL, GET_KEYRING_ID, JOIN_SESSION_KEYRING, SESSION_KEYRING = 250, 0, 1, -3


def keyctl(*arguments):
    return ctypes.CDLL(None).syscall(SYS_KEYCTL, *arguments)


# Tells, once it is asked, which session keyring it has as another user.
KEYRING_TELLER = f"""
import ctypes, os
os.write(1, b"+")
os.read(0, 1)
os.setuid(12345)
os.write(1, b"%d" % ctypes.CDLL(None).syscall({SYS_KEYCTL}, {GET_KEYRING_ID}, {SESSION_KEYRING}, 0))
"""


@case
def keyring_that_is_none(scene):
    """Who has no session keyring has none after a dump: it uses that of the user it changes to."""
    tellers = [subprocess.Popen(["/usr/bin/python3", "-c", KEYRING_TELLER], stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE) for _ in range(2)]
    try:
        if keyctl(JOIN_SESSION_KEYRING, b"of-dumpctl") < 0:
            raise Skipped("a kernel without keyrings")
        for teller in tellers:
            require(teller.stdout.read(1) == b"+", "a teller has not started")
        scene.expect_success(scene.dump(tellers[0].pid, "-R", "--shell-job"))
        after, untouched = (int(teller.communicate(b"!")[0]) for teller in tellers)
        require(after == untouched, f"its keyring is {after}, not {untouched}")
    finally:
        for teller in tellers:
            teller.kill()
            teller.wait()


@case
def keyring_that_is_not_captured(scene):
    join = lambda name: keyctl(JOIN_SESSION_KEYRING, name)
    if join(b"of-the-witness") < 0:
        raise Skipped("a kernel without keyrings")
    witness = scene.witness()
    require(join(b"of-dumpctl") > 0, "a second keyring")
    result = scene.dump(witness.pid, "-R")
    scene.expect_success(result)
    require("its session's keyring, number " in result.out, f"the keyring is not told: {result}")
    witness.expect_unharmed()
