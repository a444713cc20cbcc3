"""Earlier images that stand where a dump's own parent images go: nobody's dump is taken away."""

import os
import time

from cases_page_server import PLACE, start_page_server
from cases_tracking import skip_without_tracking
from registry import Skipped, case, case_each
from scene import PATIENCE, contents, require


def _pre_dump(scene, witness, images):
    os.makedirs(images)
    scene.expect_success(scene.run(scene.dumpctl, "pre-dump", "-t", str(witness.pid), "-D", images))


def _ways_to_lose(scene, own):
    """What --prev-images-dir may be, where the pre-dump that counts stands in `own`."""
    further = scene.make_directory("further")
    os.symlink("../images/parent", os.path.join(further, "parent"))
    with open(os.path.join(own, "inventory.img"), "rb") as inventory:
        with open(os.path.join(further, "inventory.img"), "wb") as another:
            another.write(inventory.read())
    os.symlink(scene.images, os.path.join(scene.directory, "link"))
    return ("parent", "./parent/", "../images/parent", own, "../link/parent", "parent/../parent",
            further)


@case
def previous_images_where_parent_images_go(scene):
    """They would be removed by the very dump that builds upon them."""
    skip_without_tracking()
    witness = scene.witness("poll", "big")
    own = os.path.join(scene.images, "parent")
    _pre_dump(scene, witness, own)
    before = contents(own)
    for way in _ways_to_lose(scene, own):
        words = ("previous images", way, "parent", "would replace", "move them")
        scene.expect_failure(scene.dump(witness.pid, "--prev-images-dir", way), "ImagesDir", *words)
        serving = scene.run(scene.dumpctl, "page-server", "-D", scene.images, *PLACE[1:],
                            "--prev-images-dir", way)
        scene.expect_failure(serving, "ImagesDir", *words)
        scene.expect_images({"parent": None})
        scene.expect_images(before, own)
        witness.expect_unharmed()


@case
def previous_images_where_the_link_to_them_leads(scene):
    """They stand elsewhere, but once the link is replaced it would lead to itself."""
    skip_without_tracking()
    witness = scene.witness("poll", "big")
    first = os.path.join(scene.directory, "first")
    _pre_dump(scene, witness, first)
    scene.expect_success(scene.dump(witness.pid, "-R", "--prev-images-dir", "../first"))
    before = contents(scene.images)
    for way in ("parent", os.path.join(scene.images, "parent", ".")):
        result = scene.dump(witness.pid, "--prev-images-dir", way)
        scene.expect_failure(result, "ImagesDir", "previous images", way, "would replace")
        scene.expect_images(before)
    # By its own name it can be built upon once more.
    scene.expect_success(scene.dump(witness.pid, "-R", "--prev-images-dir", "../first"))
    require(os.readlink(os.path.join(scene.images, "parent")) == "../first", "where does it lead?")
    scene.expect_whole_dump()
    witness.expect_unharmed()


@case
def parent_images_of_a_lower_layer_are_replaced(scene):
    """Where an overlayfs lies over an earlier dump, which cannot be moved out of the way."""
    witness = scene.witness("poll", "tree_shared")
    lower, upper, work = (scene.make_directory(name) for name in ("lower", "upper", "work"))
    scene.expect_success(scene.dump(witness.pid, "-R", "--file-locks", images=lower))
    require(os.path.isdir(os.path.join(lower, "parent")), "it has no parent images")
    before = sorted(os.listdir(lower))
    layers = f"lowerdir={lower},upperdir={upper},workdir={work},redirect_dir=off"
    mounted = scene.run("mount", "-t", "overlay", "-o", layers, "overlay", scene.images)
    if mounted.code != 0:
        raise Skipped(f"no overlayfs can be mounted: {mounted.err}")
    scene.expect_success(scene.dump(witness.pid, "-R", "--file-locks"))
    names = sorted(os.listdir(scene.images))
    require(names == before, f"a mixture of dumps: {names}, not {before}")
    scene.expect_whole_dump()
    witness.expect_unharmed()


@case_each(("dump", "unpack", "page_server"))
def whole_dump_where_parent_images_go(scene, command):
    """Somebody keeps it there. What comes into the directory above has no parent images then."""
    witness, other = scene.witness("poll", "large"), scene.witness()
    own = os.path.join(scene.images, "parent")
    os.mkdir(own)
    scene.expect_success(scene.dump(other.pid, "-R", images=own))
    before = contents(own)
    if command == "page_server":
        server = start_page_server(scene, scene.images)
        sent = scene.make_directory("sent")
        scene.expect_success(scene.dump(witness.pid, "-R", *PLACE, images=sent))
        require(scene.reaper.wait(server, time.monotonic() + PATIENCE) == 0, "no pages were kept")
        kept = os.listdir(scene.images)
        require(any(name.startswith("pages-") for name in kept), f"no pages were kept: {kept}")
    elif command == "unpack":
        archive = os.path.join(scene.directory, "dump.tar")
        scene.expect_success(scene.run(scene.dumpctl, "dump", "-R", "-t", str(witness.pid),
                                       "--output", archive, "--write-once=off"))
        shell = 'exec "$0" unpack -D "$1" < "$2"'
        unpacked = scene.run("/bin/sh", "-c", shell, scene.dumpctl, scene.images, archive)
        require(unpacked.code == 0, f"it was not unpacked: {unpacked}")
        scene.expect_whole_dump()
    else:
        scene.expect_success(scene.dump(witness.pid, "-R"))
        scene.expect_whole_dump()
    scene.expect_images(before, own)
    witness.expect_unharmed()
    other.expect_unharmed()
