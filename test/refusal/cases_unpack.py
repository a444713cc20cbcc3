"""Directories of images that tar(1) has packed, and dumpctl unpacks."""

import os

from registry import Skipped, case
from scene import require

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
