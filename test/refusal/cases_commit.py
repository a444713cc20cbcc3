"""Killed while its images take the place of an earlier dump's: one of the two is whole."""

import os

from registry import case
from scene import contents, require

# Of x86-64, by which images are put in place: renameat, mkdirat, unlinkat.
MOVES = "264,258,263"


def _below(directory):
    """Of a dump, and the parent images that are part of it; what is hidden is not."""
    found = {n: b for n, b in contents(directory).items() if not n.startswith(".dumpctl")}
    if os.path.isdir(parent := os.path.join(directory, "parent")):
        found["parent"] = contents(parent)
    return found


@case
def killed_while_an_earlier_dump_is_replaced(scene):
    witness = scene.witness()
    outcomes = {"earlier": 0, "torn": 0, "new": 0}
    killed = True
    number = 0
    while killed:
        scene.expect_success(scene.dump(witness.pid, "-R"))
        earlier = _below(scene.images)
        number += 1
        _, killed, _ = scene.dump_killed_at(MOVES, number, 0, witness.pid, "-R")
        if "inventory.img" not in os.listdir(scene.images):
            outcomes["torn"] += 1
        # The next one ends before it has changed anything.
        scene.expect_failure(scene.dump(witness.pid, "-R", fault="freeze=fail"), "Internal", "freeze")
        # What tells of a dump is written once that stands, and replaced by the next.
        if os.path.exists(unfinished := os.path.join(scene.images, ".stats-dump.new")):
            os.remove(unfinished)
        scene.expect_whole_dump()
        if _below(scene.images) == earlier:
            outcomes["earlier"] += 1
        else:
            outcomes["new"] += 1
            missing = (earlier.keys() ^ _below(scene.images).keys()) - {"stats-dump"}
            require(not missing, f"{number}: of one dump alone: {missing}")
    require(all(outcomes.values()), f"only {outcomes}")
    witness.expect_unharmed()
