"""Where images cannot go, and what becomes of those that stand there."""

import os
import subprocess

import sandbox
from registry import Skipped, case, case_each
from scene import Stall, contents, require, skip_without

_MS_RDONLY, _MS_REMOUNT, _MS_BIND = 1, 32, 4096


def _expect_refused(scene, images, failure, *words):
    witness = scene.witness()
    scene.expect_failure(scene.dump(witness.pid, images=images), failure, *words)
    witness.expect_unharmed()


@case
def directory_missing(scene):
    path = os.path.join(scene.directory, "nowhere")
    _expect_refused(scene, path, "ImagesDir", path, "create it first (mkdir)")
    require(not os.path.exists(path), "the directory was made")


@case
def directory_is_a_file(scene):
    path = os.path.join(scene.directory, "file")
    with open(path, "w") as file:
        file.write("mine")
    _expect_refused(scene, path, "ImagesDir", path, "Not a directory", "-D")
    with open(path) as file:
        require(file.read() == "mine", "the file was written to")


@case
def directory_is_a_link(scene):
    path = os.path.join(scene.directory, "link")
    os.symlink("images", path)
    _expect_refused(scene, path, "ImagesDir", path, "is a symbolic link", "-D")
    scene.expect_images({})


@case
def directory_without_a_name(scene):
    _expect_refused(scene, "", "ImagesDir", "images directory", "mkdir")


@case
def directory_not_writable(scene):
    sandbox.mount(scene.images, scene.images, None, _MS_BIND)
    sandbox.mount(None, scene.images, None, _MS_BIND | _MS_REMOUNT | _MS_RDONLY)
    _expect_refused(scene, scene.images, "ImagesDir", scene.images, "Read-only file system", "-D")
    scene.expect_images({})


@case
def directory_not_searchable(scene):
    """Which can be opened, and not be looked into."""
    witness = scene.witness()
    os.chmod(scene.images, 0o444)
    wrapper = [skip_without("setpriv"), "--bounding-set", "-dac_override,-dac_read_search"]
    result = scene.dump(witness.pid, wrapper=wrapper)
    os.chmod(scene.images, 0o755)
    scene.expect_failure(result, "ImagesDir", scene.images, "choose another -D")
    scene.expect_images({})
    witness.expect_unharmed()


@case
def work_directory_missing(scene):
    witness = scene.witness()
    result = scene.dump(witness.pid, "-R", "-W", "nowhere")
    scene.expect_failure(result, "ImagesDir", "work directory nowhere", "mkdir")
    scene.expect_images({})
    witness.expect_unharmed()


@case
def log_that_cannot_be_written(scene):
    witness = scene.witness()
    result = scene.dump(witness.pid, "-o", "nowhere/dump.log")
    scene.expect_failure(result, "ImagesDir", "nowhere/dump.log", "-o")
    scene.expect_images({})
    witness.expect_unharmed()


@case
def pid_file_that_cannot_be_written(scene):
    witness = scene.witness()
    result = scene.dump(witness.pid, "-R", "--pidfile", "nowhere/pid")
    scene.expect_failure(result, "ImagesDir", "pid file's directory", "/nowhere", "mkdir")
    scene.expect_images({})
    witness.expect_unharmed()


def _mount_tmpfs(path, options):
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", path], check=True)


@case
def disk_full_while_pages_are_written(scene):
    witness = scene.witness("poll", "big")
    _mount_tmpfs(scene.images, "size=4m")
    result = scene.dump(witness.pid)
    scene.expect_failure(result, "NoSpace", "memory pages", "No space left", "-D")
    scene.expect_images({})
    witness.expect_unharmed()


def _pages_size(scene, witness):
    """How many bytes of pages a dump of it makes."""
    elsewhere = scene.make_directory("elsewhere")
    scene.expect_success(scene.dump(witness.pid, "-R", images=elsewhere))
    return os.path.getsize(os.path.join(elsewhere, "pages-1.img"))


@case
def disk_full_while_images_are_written(scene):
    witness = scene.witness()
    # Room for the pages and little more.
    _mount_tmpfs(scene.images, f"size={_pages_size(scene, witness) + 4 * 4096}")
    result = scene.dump(witness.pid)
    scene.expect_failure(result, "NoSpace", ".img", "No space left", "-D")
    require("memory pages" not in result.err, f"not the images but the pages failed: {result.err}")
    scene.expect_images({})
    witness.expect_unharmed()


@case
def disk_without_room_for_a_file(scene):
    witness = scene.witness()
    _mount_tmpfs(scene.images, "nr_inodes=8")
    result = scene.dump(witness.pid)
    scene.expect_failure(result, "NoSpace", ".img", "No space left", "-D")
    scene.expect_images({})
    witness.expect_unharmed()


@case
def disk_full_over_an_earlier_dump(scene):
    witness = scene.witness()
    _mount_tmpfs(scene.images, f"size={2 * _pages_size(scene, witness)}")
    scene.expect_success(scene.dump(witness.pid, "-R"))
    earlier = contents(scene.images)
    scene.expect_failure(scene.dump(witness.pid), "NoSpace", "No space left")
    scene.expect_images(earlier)
    witness.expect_unharmed()


@case
def directory_of_another_running_dump(scene):
    first, second = scene.witness(), scene.witness()
    stall = Stall(scene.directory, "memory")
    other = subprocess.Popen(
        scene.command(first.pid, "-R"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "DUMPCTL_FAULT": stall.fault},
    )
    results = []
    stall.during(lambda _: results.append(scene.dump(second.pid)))(other.pid)
    _, err = other.communicate(timeout=20)
    require(other.returncode == 0, f"the other dump failed: {err}")
    scene.expect_failure(results[0], "ImagesDir", "another dump is being written there", "-D")
    scene.expect_whole_dump()
    require(f"core-{first.pid}.img" in os.listdir(scene.images), "whose dump is this?")
    first.expect_unharmed()
    second.expect_unharmed()


@case
def earlier_dump_is_replaced(scene):
    larger, witness = scene.witness("busy"), scene.witness()
    scene.expect_success(scene.dump(larger.pid, "-R"))
    # What other dumpers leave, and what is no image at all.
    for name in ("core-99.img", "pages-7.img", "fdinfo-12.img", "tty-info.img", "notes.txt"):
        with open(os.path.join(scene.images, name), "w") as file:
            file.write("earlier")
    scene.expect_success(scene.dump(witness.pid, "-R"))
    clean = scene.make_directory("clean")
    scene.expect_success(scene.dump(witness.pid, "-R", images=clean))
    names = sorted(os.listdir(scene.images))
    require(names == sorted(os.listdir(clean) + ["notes.txt"]), f"a mixture of dumps: {names}")
    scene.expect_whole_dump()
    witness.expect_unharmed()
    larger.expect_unharmed()


@case
def leftovers_of_a_killed_dump_are_removed(scene):
    larger, witness = scene.witness("busy"), scene.witness()
    killed = scene.dump(larger.pid, "-R", fault="commit=kill")
    require(killed.code == -9, f"it was to be killed: {killed}")
    left = os.listdir(scene.images)
    require(f"core-{larger.pid}.img" in left, f"it was killed before it had images: {left}")
    require("inventory.img" not in left, "half a dump has an inventory")
    clean = scene.make_directory("clean")
    upon_it = scene.dump(witness.pid, "-R", "--prev-images-dir", scene.images, images=clean)
    scene.expect_failure(upon_it, "ImagesDir", "there is no dump and no pre-dump in it")
    scene.expect_success(scene.dump(witness.pid, "-R"))
    scene.expect_success(scene.dump(witness.pid, "-R", images=clean))
    names = sorted(os.listdir(scene.images))
    require(names == sorted(os.listdir(clean)), f"a mixture of dumps: {names}")
    scene.expect_whole_dump()
    witness.expect_unharmed()
    larger.expect_unharmed()


@case
def earlier_dump_outlives_a_killed_one(scene):
    witness = scene.witness()
    scene.expect_success(scene.dump(witness.pid, "-R"))
    earlier = contents(scene.images)
    killed = scene.dump(witness.pid, "-R", fault="commit=kill")
    require(killed.code == -9, f"it was to be killed: {killed}")
    now = {name: what for name, what in contents(scene.images).items() if not name.startswith(".")}
    require(now == earlier, f"the earlier dump has changed: {sorted(now)}")
    witness.expect_unharmed()


def _set_immutable(scene, path, on):
    """A file that nobody can remove or rename."""
    change = scene.run(skip_without("chattr"), "+i" if on else "-i", path)
    if change.code != 0:
        raise Skipped(f"no file can be made immutable here: {change.err}")


@case_each(("a_directory", "immutable", "anothers"))
def earlier_dump_outlives_one_that_cannot_replace(scene, what):
    """An image that is left from another dump: the earlier one has it as little as the new one."""
    witness = scene.witness()
    scene.expect_success(scene.dump(witness.pid, "-R"))
    stray = os.path.join(scene.images, "core-99.img")
    if what == "a_directory":
        os.mkdir(stray)
    else:
        open(stray, "w").close()
    wrapper = ()
    if what == "anothers":
        os.chown(stray, 1234, 1234)
        os.chown(scene.images, 1234, 1234)
        os.chmod(scene.images, 0o1777)
        wrapper = [skip_without("setpriv"), "--bounding-set", "-fowner"]
    elif what == "immutable":
        _set_immutable(scene, stray, True)
    earlier = contents(scene.images)
    try:
        result = scene.dump(witness.pid, wrapper=wrapper)
    finally:
        if what == "immutable":
            _set_immutable(scene, stray, False)
    scene.expect_failure(result, "ImagesDir", "core-99.img")
    scene.expect_images(earlier)
    witness.expect_unharmed()


BEFORE_COMMIT = ("preflight", "images", "freeze", "collect", "ask", "memory", "serialise", "commit")


@case_each(BEFORE_COMMIT)
def earlier_dump_outlives_a_failed_one(scene, point):
    witness = scene.witness()
    scene.expect_success(scene.dump(witness.pid, "-R"))
    earlier = contents(scene.images)
    scene.expect_failure(scene.dump(witness.pid, fault=f"{point}=fail"), "Internal", point)
    scene.expect_images(earlier)
    witness.expect_unharmed()
