"""Cgroups: which cannot be told of, and the freezer, which is put back whatever happens."""

import contextlib
import os
import re
import subprocess
import time

from registry import Skipped, case, case_each
from scene import expect_fallback, require, wait_until

_ROOT = "/sys/fs/cgroup"


@contextlib.contextmanager
def _cgroup(scene, hierarchy, pid):
    """A new one with that process in it."""
    path = f"{_ROOT}/{hierarchy}/{os.path.basename(scene.directory)}"
    try:
        os.mkdir(path)
    except OSError as error:
        raise Skipped(f"no cgroups to write to: {error}")
    try:
        _move(pid, path)
        yield path
    finally:
        _freeze(path, False)
        _move(pid, f"{_ROOT}/{hierarchy}")
        os.rmdir(path)


def _write(path, text):
    with open(path, "w") as file:
        file.write(text)


def _move(pid, path):
    try:
        _write(f"{path}/cgroup.procs", str(pid))
    except ProcessLookupError:
        pass


def _freeze(path, frozen):
    if os.path.exists(f"{path}/cgroup.freeze"):
        _write(f"{path}/cgroup.freeze", "1" if frozen else "0")
    elif os.path.exists(f"{path}/freezer.state"):
        _write(f"{path}/freezer.state", "FROZEN" if frozen else "THAWED")


def _is_frozen(path):
    name, word = "cgroup.events", "frozen 1"
    if os.path.exists(f"{path}/freezer.state"):
        name, word = "freezer.state", "FROZEN"
    with open(f"{path}/{name}") as file:
        return word in file.read()


def _expect_frozen(path, frozen):
    wait_until(lambda: _is_frozen(path) == frozen, f"{path} to be frozen: {frozen}")


def _any_dumper():
    """Or whoever puts back what one has left; no other test's are seen here."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/comm") as comm, open(f"/proc/{pid}/stat") as stat:
                if comm.read() == "dumpctl\n" and ") Z " not in stat.read():
                    return True
        except (FileNotFoundError, ProcessLookupError):
            pass
    return False


@case
def cgroups_that_are_not_there(scene):
    witness = scene.witness()
    with _cgroup(scene, "cpu", witness.pid):
        result = scene.dump(witness.pid, "--cgroup-root", "cpu:/no/such")
        scene.expect_failure(result, "Refused", "cgroup cpu:/no/such", "--cgroup-root")
        result = scene.dump(witness.pid, "--cgroup-yard", "/tmp", "--cgroup-dump-controller", "cpu")
        scene.expect_failure(result, "Refused", "cgroup cpu:/", "--cgroup-yard")
    scene.expect_images({})
    witness.expect_unharmed()


@case
def freezers_that_are_none(scene):
    witness = scene.witness()
    result = scene.dump(witness.pid, "--freeze-cgroup", "/tmp")
    scene.expect_failure(result, "Refused", "cgroup /tmp", "no freezer")
    with _cgroup(scene, "freezer", witness.pid) as path:
        _move(os.getpid(), path)
        try:
            result = scene.dump(witness.pid, "--freeze-cgroup", path)
        finally:
            _move(os.getpid(), f"{_ROOT}/freezer")
        scene.expect_failure(result, "Refused", path, "dumpctl is in it")
    scene.expect_images({})
    witness.expect_unharmed()


@case_each(["freezer", "unified"])
def frozen_without_being_named(scene, hierarchy):
    witness = scene.witness()
    with _cgroup(scene, hierarchy, witness.pid) as path:
        _freeze(path, True)
        _expect_frozen(path, True)
        result = scene.dump(witness.pid)
        scene.expect_failure(result, "Refused", "before anything was changed",
                             os.path.basename(path), "--freeze-cgroup")
        _expect_frozen(path, True)
        _freeze(path, False)
    scene.expect_images({})
    witness.expect_unharmed()


@case_each(["freezer", "unified"])
def freezers_of_finished_dumps(scene, hierarchy):
    witness = scene.witness()
    with _cgroup(scene, hierarchy, witness.pid) as path:
        scene.expect_success(scene.dump(witness.pid, "-R", "--freeze-cgroup", path))
        _expect_frozen(path, False)
        witness.expect_unharmed()
        _freeze(path, True)
        _expect_frozen(path, True)
        result = scene.dump(witness.pid, "-R", "--freeze-cgroup", path)
        scene.expect_success(result)
        require("is frozen" in result.out, f"what was not captured is not told: {result}")
        _expect_frozen(path, True)
        result = scene.dump(witness.pid, "-R", "--freeze-cgroup", path, fault="memory")
        require(result.code != 0, f"that step was to fail: {result}")
        _expect_frozen(path, True)
        _freeze(path, False)
        witness.expect_unharmed()


@case_each(["freezer", "unified"])
def freezers_of_killed_dumps(scene, hierarchy):
    witness = scene.witness()
    with _cgroup(scene, hierarchy, witness.pid) as path:
        for frozen in (False, True):
            _freeze(path, frozen)
            _expect_frozen(path, frozen)
            for milliseconds in range(1, 22, 2):
                command = scene.command(witness.pid, "-R", "--freeze-cgroup", path)
                dumper = subprocess.Popen(command, stdout=subprocess.DEVNULL,
                                          stderr=subprocess.DEVNULL)
                time.sleep(milliseconds / 1000)
                dumper.kill()
                dumper.wait()
                wait_until(lambda: not _any_dumper(), "the guardian to end")
                _expect_frozen(path, frozen)
        _freeze(path, False)
        witness.expect_unharmed()


@case
def copies_in_a_pids_cgroup_without_room(scene):
    """A copy counts as a process of the cgroup, which starts its own meanwhile."""
    witness = scene.witness("poll", "big")
    with _cgroup(scene, "pids", witness.pid) as path:
        _write(f"{path}/pids.max", "10")
        result = scene.dump(witness.pid, "-R", "--snapshot=cow")
        scene.expect_failure(result, "Refused", "no room for another process", "pids.max",
                             "--snapshot=auto")
        scene.expect_images({})
        witness.expect_unharmed()
        result = scene.dump(witness.pid, "-R", "--snapshot=auto")
        scene.expect_success(result)
        expect_fallback(result, "no room for another process")
        _write(f"{path}/pids.max", "100")
        scene.expect_success(scene.dump(witness.pid, "-R", "--snapshot=cow"))
        witness.expect_unharmed()


@case
def copies_of_a_child_in_a_pids_cgroup_without_room(scene):
    """Each has cgroups of its own, which may not be those of the root."""
    witness = scene.witness("poll", "tree_shared")
    with open(f"/proc/{witness.pid}/task/{witness.pid}/children") as children:
        child = int(children.read().split()[0])
    with _cgroup(scene, "pids", child) as path:
        _write(f"{path}/pids.max", "10")
        result = scene.dump(witness.pid, "-R", "--snapshot=cow", "--file-locks")
        scene.expect_failure(result, "Refused", "no room for another process", "pids.max")
        scene.expect_images({})
        witness.expect_unharmed()


def _largest_memory(pid):
    """What the largest anonymous mapping of a process has."""
    mappings = []
    with open(f"/proc/{pid}/maps") as maps:
        for line in maps:
            addresses, _, _, _, inode, *name = line.split()
            if inode == "0" and not name:
                start, end = (int(address, 16) for address in addresses.split("-"))
                mappings.append((end - start, start))
    size, start = max(mappings)
    with open(f"/proc/{pid}/mem", "rb") as memory:
        memory.seek(start)
        return memory.read(size)


def _expect_memory_of(scene, witness):
    """In order, in one of the pages files, or divided in two."""
    saved = b""
    for directory in (os.path.join(scene.images, "parent"), scene.images):
        if os.path.exists(os.path.join(directory, "pages-1.img")):
            with open(os.path.join(directory, "pages-1.img"), "rb") as pages:
                saved += pages.read()
    require(_largest_memory(witness.pid) in saved, "the images have other memory")


@case
def copies_in_a_memory_cgroup_without_room(scene):
    """What is written to while a copy stands is there twice, and all of it may be."""
    witness = scene.witness("poll", "big")
    log = os.path.join(scene.directory, "log")
    with _cgroup(scene, "memory", witness.pid) as path:
        _write(f"{path}/memory.limit_in_bytes", str(12 << 20))
        result = scene.dump(witness.pid, "-R", "--snapshot=cow")
        words = ("MiB may come to take more memory than there is for copies", "--snapshot=auto")
        scene.expect_failure(result, "Refused", *words)
        scene.expect_images({})
        witness.expect_unharmed()
        for options in ((), ("--snapshot=auto",)):
            scene.expect_success(scene.dump(witness.pid, "-R", "-v4", "-o", log, *options))
            with open(log) as text:
                why = re.search(rf"not copied: process {witness.pid}: its .*", text.read())
            require(why and words[0] in why[0], f"why was it not? {why}")
            scene.expect_whole_dump()
            _expect_memory_of(scene, witness)
            witness.expect_unharmed()
        _write(f"{path}/memory.limit_in_bytes", str(100 << 20))
        scene.expect_success(scene.dump(witness.pid, "-R", "--snapshot=cow"))
        _expect_memory_of(scene, witness)
        witness.expect_unharmed()
