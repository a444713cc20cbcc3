"""Dumps that go elsewhere than into a directory: archives, their readers, and who unpacks them."""

import os
import socket
import tarfile

from registry import case
from scene import contents, require


def _archive(scene, witness, *options, fault="", to=None):
    """dump --output -, whose standard output is `to`, or a file; how it ended, and the file."""
    path = os.path.join(scene.directory, "archive")
    command = [scene.dumpctl, "dump", "-t", str(witness.pid), "--output", "-", *options]
    shell = 'exec "$@" >"$0"' if to is None else f'set -o pipefail; "$@" | {to} >"$0"'
    return scene.run("/bin/bash", "-c", shell, path, *command, fault=fault), path


def _unpack(scene, path, images=None):
    return scene.run(scene.dumpctl, "unpack", "-D", images or scene.images, path)


@case
def archive_of_a_whole_dump(scene):
    witness = scene.witness("poll", "big")
    result, path = _archive(scene, witness, "-R")
    require(result.code == 0 and "to standard output" in result.err, f"no success: {result}")
    with tarfile.open(path) as archive:
        names = archive.getnames()
    require(names[-1] == "inventory.img", f"the inventory is not the last: {names}")
    unpacked = _unpack(scene, path)
    require(unpacked.code == 0 and unpacked.err == "", f"no success: {unpacked}")
    scene.expect_whole_dump()
    into_directory = scene.make_directory("compared")
    scene.expect_success(scene.dump(witness.pid, "-R", images=into_directory))
    require(sorted(names + ["stats-dump"]) == sorted(os.listdir(into_directory)),
            f"other images than in a directory: {names}")
    require(sorted(names) == sorted(os.listdir(scene.images)), "tar and unpack differ")
    witness.expect_unharmed()


@case
def archive_whose_reader_ends(scene):
    witness = scene.witness("poll", "big")
    result, _ = _archive(scene, witness, to="head -c 100000")
    scene.expect_failure(result, "Peer", "standard output", "Broken pipe")
    witness.expect_unharmed()


@case
def archive_whose_reader_stands_still(scene):
    witness = scene.witness("poll", "big")
    result, _ = _archive(scene, witness, "--timeout", "1", to="(sleep 2)")
    scene.expect_failure(result, "Timeout", "has taken nothing for 1s", "--timeout")
    witness.expect_unharmed()


@case
def archive_of_a_killed_dump(scene):
    witness = scene.witness()
    killed, path = _archive(scene, witness, fault="commit=kill")
    require(killed.code == -9, f"it was to be killed: {killed}")
    scene.expect_failure(_unpack(scene, path), "BadImage", "the archive")
    scene.expect_images({})
    witness.expect_unharmed()


@case
def archive_into_a_file_that_is_there(scene):
    witness = scene.witness()
    path = os.path.join(scene.images, "dump.tar")
    with open(path, "w") as file:
        file.write("earlier")
    earlier = contents(scene.images)
    command = [scene.dumpctl, "dump", "-t", str(witness.pid), "-R", "--sync", "--output", path]
    scene.expect_failure(scene.run(*command, fault="commit=fail"), "Internal", "commit")
    scene.expect_images(earlier)
    scene.expect_success(scene.run(*command))
    require(os.listdir(scene.images) == ["dump.tar"], "something is left over")
    require(tarfile.is_tarfile(path), "it is no archive")
    witness.expect_unharmed()


@case
def archive_with_what_takes_a_directory(scene):
    witness = scene.witness()
    for options in (["--images-dir", scene.images], ["--link-remap"], ["--action-script", "true"],
                    ["--direct"]):
        result, _ = _archive(scene, witness, *options)
        scene.expect_failure(result, "Usage", "--output", options[0])
    command = [scene.dumpctl, "dump", "-t", str(witness.pid), "--output"]
    scene.expect_failure(scene.run(*command, "/dev/full"), "NoSpace", "/dev/full")
    scene.expect_failure(scene.run(*command, "nowhere/x.tar"), "ImagesDir", "nowhere/x.tar")
    scene.expect_failure(scene.run(*command, ""), "Usage", "--output")
    scene.expect_images({})
    witness.expect_unharmed()


@case
def streamer_that_is_not_there(scene):
    witness = scene.witness()
    result = scene.dump(witness.pid, "--stream")
    scene.expect_failure(result, "Peer", "streamer-capture.sock", "start criu-image-streamer")
    scene.expect_images({})
    witness.expect_unharmed()


@case
def streamer_that_ends_early(scene):
    witness = scene.witness("poll", "big")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(os.path.join(scene.images, "streamer-capture.sock"))
    listener.listen()

    def end(_):
        connection, _ = listener.accept()
        connection.recv(4)
        connection.close()

    result = scene.run(*scene.command(witness.pid, "--stream"), meanwhile=end)
    scene.expect_failure(result, "Peer", "image streamer")
    witness.expect_unharmed()
