"""Dumps that go elsewhere than into a directory: archives, their readers, and who unpacks them."""

import os
import re
import socket
import tarfile

from calls import ended, has_failed, traced
from registry import case, case_each
from scene import contents, require


def _archive(scene, witness, *options, fault="", to=None, wrapper=()):
    """dump --output -, whose standard output is `to`, or a file; how it ended, and the file."""
    path = os.path.join(scene.directory, "archive")
    command = [*wrapper, scene.dumpctl, "dump", "-t", str(witness.pid), "--output", "-", *options]
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


def _made_by(call):
    """What a call has made, or opened to be written; None of any other."""
    if match := re.match(r"(?:openat|open|creat)\((.*)\) = \d+<(.+)>$", call):
        written = re.search(r"O_WRONLY|O_RDWR|O_CREAT|O_TMPFILE|O_TRUNC", match[1])
        return match[2] if written or call.startswith("creat") else None
    return call if re.match(r"(?:mkdir|mknod|link|symlink|rename|truncate|unlink)", call) else None


@case_each(("killed", "running"))
def archive_that_takes_no_disk(scene, way):
    """Nothing is made, or opened to be written, but standard output, which is a pipe."""
    witness = scene.witness("poll", "large")
    wrapper, trace = traced(scene, "%file")
    options = ("-R",) if way == "running" else ()
    result, path = _archive(scene, witness, *options, to="cat", wrapper=wrapper)
    require(result.code == 0, f"no success: {result}")
    made = {_made_by(call) for call in ended(trace) if not has_failed(call)} - {None}
    files = sorted(f for f in made if not re.match(r"/proc/|/dev/null|/memfd:|\w+:\[", f))
    require(files == [], f"these were made or written: {files}")
    require(any(f.startswith("pipe:") for f in made), f"no archive was seen: {made}")
    unpacked = _unpack(scene, path)
    require(unpacked.code == 0, f"no success: {unpacked}")
    scene.expect_whole_dump()
    if way == "killed":
        witness.expect_gone()
    else:
        witness.expect_unharmed()


@case
def archive_whose_reader_ends(scene):
    witness = scene.witness("poll", "big")
    result, _ = _archive(scene, witness, to="head -c 100000")
    scene.expect_failure(result, "Peer", "standard output", "Broken pipe")
    witness.expect_unharmed()


@case
def archive_whose_reader_stands_still(scene):
    """Until the dump has ended, however long that takes."""
    witness = scene.witness("poll", "big")
    end = os.path.join(scene.directory, "end")
    telling = ("/bin/bash", "-c", '"$@"; code=$?; touch "$0"; exit $code', end)
    reader = f"(until [ -e {end} ]; do sleep .05; done)"
    result, _ = _archive(scene, witness, "--timeout", "1", to=reader, wrapper=telling)
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
def stream_excludes_what_has_no_place_in_it(scene):
    """Of images before it could not be told, for one: it has no link to them."""
    witness = scene.witness()
    previous = scene.make_directory("previous")
    for options in (["--prev-images-dir", previous], ["--link-remap"], ["--action-script", "true"],
                    ["--page-server", "--port", "1"], ["--direct"]):
        result = scene.dump(witness.pid, "--stream", *options)
        scene.expect_failure(result, "Usage", "--stream", options[0])
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
