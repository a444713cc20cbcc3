"""--sync: what must be on the disk before something else happens, for who loses power meanwhile."""

import glob
import os
import re
import time

from calls import ended, has_failed, traced
from cases_output import _archive
from cases_page_server import PLACE, start_page_server
from registry import case, case_each
from scene import PATIENCE, require, wait_until
from write_tracking import watches_writes

CALLS = ("openat,mkdirat,write,pwrite64,fallocate,ftruncate,rename,renameat,renameat2,"
         "fsync,fdatasync,syncfs,kill,tgkill,pidfd_send_signal,ptrace,sendto")


def _move(call):
    """The old and the new path of a file that was given another name; None of any other call."""
    match = re.match(r'rename\("(.+?)", "(.+?)"\)', call)
    if match:
        return match.groups()
    match = re.match(r'renameat2?\(\w+<(.+?)>, "(.+?)", \w+<(.+?)>, "(.+?)"', call)
    return match and (os.path.join(match[1], match[2]), os.path.join(match[3], match[4]))


def _changed_by(call):
    """The files and directories that have to be synced after a call."""
    if move := _move(call):
        is_inventory = os.path.basename(move[0]) == "inventory.img"
        if _is_out_of_the_way(move):
            return {os.path.dirname(move[0])} if is_inventory else set()
        return {os.path.dirname(move[1])}
    if match := re.match(r"openat\(.*O_CREAT.*\) = \d+<(.+)>$", call):
        return {match[1], os.path.dirname(match[1])}
    if match := re.match(r'mkdirat\(\w+<(.+?)>, "(.+?)"', call):
        return {match[1], os.path.join(match[1], match[2])}
    match = re.match(r"(?:write|pwrite64|fallocate|ftruncate)\(\d+<(/.+?)>", call)
    return {match[1]} if match else set()


def _with_unsynced(calls, directory):
    """Each call, and what of the directory had been changed and was not on the disk by then."""
    unsynced = set()
    for call in calls:
        yield call, frozenset(unsynced)
        if has_failed(call):
            continue
        if call.startswith("syncfs("):
            unsynced.clear()
        elif match := re.match(r"f(?:data)?sync\(\d+<(.+?)>", call):
            unsynced.discard(match[1])
        else:
            if (move := _move(call)) and move[0] in unsynced:
                unsynced = unsynced - {move[0]} | {move[1]}
            unsynced |= {p for p in _changed_by(call) if f"{p}/".startswith(f"{directory}/")}


def _is_out_of_the_way(move):
    """Of an earlier dump, to where it goes with all else that is hidden, unless it is put back."""
    return "/.earlier" in move[1]


def _is_within_parents(move):
    """From parent/ to parent/parent/, of a dump that is still being written."""
    return os.path.dirname(move[1]) == os.path.join(os.path.dirname(move[0]), "parent")


def _count_synced_moves(calls, directory, is_last, inventory=("/inventory.img", ".tar")):
    """How many files are moved until the first call that is_last.

    That one must come when the dump stands, and all of it is on the disk. So must be whatever is
    moved; and all else, before what makes a dump of it is, if there is such an `inventory`.
    """
    moves, stands = 0, not inventory
    for call, unsynced in _with_unsynced(calls, directory):
        if is_last(call):
            require(stands, f"before there is a dump: {call}")
            require(not unsynced, f"{sorted(unsynced)} is not on the disk: {call}")
            return moves
        move = _move(call)
        if not move or not move[1].startswith(f"{directory}/") or _is_within_parents(move):
            continue
        if move[1].endswith("/.earlier-dropped"):
            require(stands, f"before there is a dump: {call}")
            continue
        if _is_out_of_the_way(move):
            require(moves == 0, f"after images of the new dump: {call}")
            require(directory not in unsynced, f"the directory is not on the disk: {call}")
            continue
        moves += 1
        require(move[0] not in unsynced, f"it is not on the disk: {call}")
        # Or the earlier inventory may come back, and stand for other images than its own.
        require(moves > 1 or directory not in unsynced, f"the directory is not on the disk: {call}")
        if move[1].endswith(inventory):
            stands = True
            require(not unsynced, f"{sorted(unsynced)} is not on the disk: {call}")
    require(False, f"it did not happen, after {calls[-5:]}")


def _is_kill_of(pid):
    return re.compile(rf"(?:kill|tgkill|pidfd_send_signal)\(.*\b{pid}\b.*, SIGKILL").match


def _is_release_of(pid):
    return re.compile(rf"ptrace\(PTRACE_DETACH, {pid},").match


def _is_told(call):
    """That it has been done."""
    return re.match(r'write\(1<.*>, "Dumped process', call)


def _is_answer(call):
    """Of a page server, that all is well."""
    return re.match(r'sendto\(\d+<socket:.*>, "\\0\\0\\0\\0", 4, ', call)


def _is_end(call):
    return call == "exit"


def _run(scene, *command):
    """Its calls, and an "exit"."""
    wrapper, trace = traced(scene, CALLS)
    scene.expect_success(scene.run(*wrapper, *command))
    return [*ended(trace), "exit"]


def _dump(scene, witness, *options):
    # Statistics are written elsewhere: they come last, and no restore needs them.
    return _run(scene, *scene.command(witness.pid, "--sync", "-W", scene.directory, *options))


@case
def images_that_are_on_the_disk(scene):
    witness = scene.witness()
    calls = _dump(scene, witness, "-R", "--direct")
    moves = _count_synced_moves(calls, scene.images, _is_end)
    require(moves == 1, f"the inventory alone was to be moved, not {moves} images")
    # All that take the place of an earlier dump's are.
    calls = _dump(scene, witness, "-R", "--direct")
    moves = _count_synced_moves(calls, scene.images, _is_end)
    require(moves > 5, f"who moves images over those of the earlier dump? {moves}")
    scene.expect_whole_dump()
    witness.expect_unharmed()


@case_each(("off", "cow", "pre-copy"))
def images_of_all_levels_that_are_on_the_disk(scene, copies):
    """Where two write, half of the memory is in parent/, or in parent/parent/ beforehand."""
    witness = scene.witness("poll", "large")
    for _ in range(2):  # the second takes the place of the first
        calls = _dump(scene, witness, "-R", f"--snapshot={copies}")
        _count_synced_moves(calls, scene.images, _is_told)
        scene.expect_whole_dump()
    two = len(os.sched_getaffinity(0)) > 1
    levels = (1 if two else 0) + (1 if copies == "pre-copy" and watches_writes() else 0)
    path = os.path.join(scene.images, *["parent"] * levels)
    require(glob.glob(f"{path}/pages-*.img"), f"there are no pages in {path}")
    require(not os.path.exists(f"{path}/parent"), f"there is more than {path}")
    witness.expect_unharmed()


@case_each(("alone", "over_another"))
def images_on_the_disk_before_the_kill(scene, place):
    """From then on there is nothing but them."""
    witness = scene.witness("poll", "big")
    if place == "over_another":
        scene.expect_success(scene.dump(witness.pid, "-R"))
    calls = _dump(scene, witness)
    moves = _count_synced_moves(calls, scene.images, _is_kill_of(witness.pid))
    require((moves > 5) == (place == "over_another"), f"{moves} images were moved")
    witness.expect_gone()
    scene.expect_whole_dump()


@case
def images_on_the_disk_before_the_stop(scene):
    """From then on anybody may continue it."""
    witness = scene.witness()
    calls = _dump(scene, witness, "-s")
    _count_synced_moves(calls, scene.images, _is_release_of(witness.pid))
    wait_until(lambda: witness.state() == "T", "the stop")
    scene.expect_whole_dump()


@case
def archive_on_the_disk_before_the_kill(scene):
    witness = scene.witness("poll", "big")
    archive = os.path.join(scene.images, "dump.tar")
    command = (scene.dumpctl, "dump", "-t", str(witness.pid), "--sync", "--output", archive)
    calls = _run(scene, *command)
    _count_synced_moves(calls, scene.images, _is_kill_of(witness.pid))
    witness.expect_gone()


@case_each(("alone", "over_another"))
def unpacked_images_that_are_on_the_disk(scene, place):
    """unpack --sync does not end before."""
    witness = scene.witness("poll", "big")
    if place == "over_another":
        scene.expect_success(scene.dump(witness.pid, "-R"))
    result, archive = _archive(scene, witness, "-R")
    require(result.code == 0, f"no success: {result}")
    calls = _run(scene, scene.dumpctl, "unpack", "--sync", "-D", scene.images, archive)
    moves = _count_synced_moves(calls, scene.images, _is_end)
    require(moves > 5, f"who moves the images? {moves}")
    scene.expect_whole_dump()
    witness.expect_unharmed()


@case
def pages_on_the_disk_before_the_answer(scene):
    """The dump takes it for granted then that they stand."""
    witness = scene.witness("poll", "tree_shared")
    kept = scene.make_directory("kept")
    wrapper, trace = traced(scene, CALLS)
    server = start_page_server(scene, kept, "--sync", wrapper=wrapper)
    scene.expect_success(scene.dump(witness.pid, "-R", "--file-locks", *PLACE))
    require(scene.reaper.wait(server, time.monotonic() + PATIENCE) == 0, "the page server failed")
    moves = _count_synced_moves(ended(trace), kept, _is_answer, inventory=())
    require(moves == len(os.listdir(kept)) > 4, f"who moves {sorted(os.listdir(kept))}? {moves}")
    witness.expect_unharmed()
