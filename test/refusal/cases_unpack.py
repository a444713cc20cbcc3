"""Directories of images that tar(1) has packed, and dumpctl unpacks."""

import os
import signal
import subprocess
import tarfile

from cases_interruption import expect_too_large
from registry import Skipped, case, case_each
from scene import PATIENCE, require, wait_until

LEVELS = os.path.join("parent", "parent")


def _files(directory):
    """path below it -> bytes of all files."""
    found = {}
    for top, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(top, name)
            with open(path, "rb") as file:
                found[os.path.relpath(path, directory)] = file.read()
    return found


def _repack(scene, into):
    """tar of the images directory through a pipe, unpacked `into` another."""
    shell = 'set -o pipefail; tar -C "$0" -cf - . | "$1" unpack -D "$2"'
    return scene.run("/bin/bash", "-c", shell, scene.images, scene.dumpctl, into)


@case
def tar_of_images_with_parents_of_parents(scene):
    witness = scene.witness("poll", "big")
    scene.expect_success(scene.dump(witness.pid, "-R", "--snapshot=pre-copy"))
    if not os.path.isdir(os.path.join(scene.images, LEVELS)):
        raise Skipped("one processor alone, or memory that cannot be watched")
    into = scene.make_directory("unpacked")
    unpacked = _repack(scene, into)
    require(unpacked.code == 0 and unpacked.err == "", f"no success: {unpacked}")
    require(_files(into) == _files(scene.images), "it is not the same dump")
    scene.expect_whole_dump(into)
    witness.expect_unharmed()


@case
def tar_of_images_that_processes_share(scene):
    """Their pagemaps among the parent images are links to one, for tar as well."""
    witness = scene.witness("poll", "tree_shared")
    scene.expect_success(scene.dump(witness.pid, "-R", "--file-locks"))
    parent = os.path.join(scene.images, "parent")
    links = [os.stat(os.path.join(parent, name)).st_nlink for name in os.listdir(parent)]
    require(max(links) > 1, f"no image has two names: {links}")
    into = scene.make_directory("unpacked")
    unpacked = _repack(scene, into)
    require(unpacked.code == 0 and unpacked.err == "", f"no success: {unpacked}")
    require(_files(into) == _files(scene.images), "it is not the same dump")
    witness.expect_unharmed()


@case
def tar_with_links_to_anything_else(scene):
    into = scene.make_directory("unpacked")
    for name, to in (("parent/pages-1.img", "../../etc/passwd"), ("parent/pages-1.img", "/etc/passwd"),
                     ("parent/pages-1.img", "parent/pages-3.img"), ("pages-1.img", "pages-2.img"),
                     ("parent/pages-1.img", "pages-2.img"), ("parent/pages-1.img", "parent/pages-1.img"),
                     ("parent/parent/pages-1.img", "parent/pages-2.img")):
        path = os.path.join(scene.directory, "links.tar")
        with tarfile.open(path, "w") as tar:
            for image in ("inventory.img", "pages-2.img", "parent/pages-2.img"):
                tar.addfile(tarfile.TarInfo(image))
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.LNKTYPE, to
            tar.addfile(link)
        unpacked = scene.run("/bin/sh", "-c", 'exec "$0" unpack -D "$1" < "$2"', scene.dumpctl, into,
                             path)
        scene.expect_failure(unpacked, "BadImage", name, "a link to something else than an image")
        require(os.listdir(into) == [], f"something is left: {os.listdir(into)}")


@case
def tar_with_a_file_where_parent_images_go(scene):
    into = scene.make_directory("unpacked")
    for name in ("parent", "./parent"):
        path = os.path.join(scene.directory, "parent.tar")
        with tarfile.open(path, "w") as tar:
            for entry in ("pages-1.img", name, "inventory.img"):
                tar.addfile(tarfile.TarInfo(entry))
        unpacked = scene.run("/bin/sh", "-c", 'exec "$0" unpack -D "$1" < "$2"', scene.dumpctl, into,
                             path)
        scene.expect_failure(unpacked, "BadImage", name, "whose name is none of an image")
        require(os.listdir(into) == [], f"something is left: {os.listdir(into)}")


@case
def tar_of_images_with_others_among_them(scene):
    """Nothing of it is left, nor is the dump touched that was there."""
    witness = scene.witness()
    scene.expect_success(scene.dump(witness.pid, "-R"))
    into = scene.make_directory("unpacked")
    require(_repack(scene, into).code == 0, "it was not unpacked")
    before = _files(into)
    os.makedirs(os.path.join(scene.images, LEVELS))
    with open(os.path.join(scene.images, LEVELS, "notes"), "wb") as notes:
        notes.write(b"mine")
    scene.expect_failure(_repack(scene, into), "BadImage", "parent/parent/notes")
    require(_files(into) == before, f"{sorted(_files(into))}, not {sorted(before)}")
    require("parent" not in os.listdir(into), f"something is left: {os.listdir(into)}")


def _archive_of(scene, witness):
    path = os.path.join(scene.directory, "dump.tar")
    command = (scene.dumpctl, "dump", "-t", str(witness.pid), "-R", "--output", path)
    scene.expect_success(scene.run(*command))
    return path


@case
def unpacking_where_files_may_not_grow_so_large(scene):
    witness = scene.witness("poll", "big")
    path = _archive_of(scene, witness)
    expect_too_large(scene, scene.dumpctl, "unpack", "-D", scene.images, path)
    witness.expect_unharmed()


@case_each(("half", "all"))
def unpacking_that_is_interrupted(scene, what):
    """While it waits for more of the archive, or for who writes that to close."""
    witness = scene.witness("poll", "big")
    with open(_archive_of(scene, witness), "rb") as file:
        archive = file.read()
    process = subprocess.Popen(
        (scene.dumpctl, "unpack", "-D", scene.images),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdin.write(archive if what == "all" else archive[: len(archive) // 2])
    process.stdin.flush()

    wait_until(lambda: os.listdir(scene.images) != [], "the unpacking")
    process.send_signal(signal.SIGTERM)
    require(process.wait(PATIENCE) == -signal.SIGTERM, f"it ended with {process.returncode}")
    err = process.stderr.read().decode()
    require(err == "dumpctl: interrupted by SIGTERM: nothing was unpacked\n", err)
    require(process.stdout.read() == b"", "an answer of nothing")
    process.stdin.close()
    scene.expect_images({})
    witness.expect_unharmed()
