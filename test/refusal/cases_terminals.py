"""Terminals that no restore brings back as they are, each refused for what is wrong with it."""

import json
import os
import re

from registry import Skipped, case, case_each
from scene import require

# What the witness holds, and words of what is said of it.
_REFUSED = {
    "exclusive": ("would not keep others from opening it (TIOCEXCL)", "(TIOCNXCL)"),
    "speed": ("its speed, 12345 (BOTHER)", "stty"),
    "locked_settings": ("(TIOCSLCKTRMIOS)", "unlock them"),
    "slave_closed": ("all have closed its other end", "has noticed"),
    "vhangup": ("it is hung up", "close it"),
    "input": ("11 bytes that were typed wait there", "caught up"),
    "unheard": ("comes back only where both ends are open", "caught up"),
    "alone": ("its other end is no part of the dump", "add --shell-job (-j)"),
    "dead_group": ("nobody is left of the process group in its foreground", "taken its terminal"),
    "dev_tty": ("only leaders of sessions have a terminal again", "by its name"),
}


@case_each(sorted(_REFUSED))
def terminal(scene, what):
    witness = scene.witness("poll", f"terminal_{what}")
    # Twice: what the first has looked at is as it was.
    for _ in range(2):
        result = scene.dump(witness.pid)
        scene.expect_failure(result, "Refused", "(terminal, /dev/", *_REFUSED[what])
        scene.expect_images({})
    witness.expect_unharmed()


@case_each(["input", "output"])
def terminal_that_cannot_be_looked_into(scene, what):
    witness = scene.witness("poll", f"terminal_{what}")
    result = scene.run(*scene.command(witness.pid), features="-bpf_task_file")
    words = "bytes wait there to be read, which cannot be looked at without taking it away"
    scene.expect_failure(result, "Refused", "(terminal, /dev/", words)
    scene.expect_images({})
    witness.expect_unharmed()


@case
def terminals_of_others_one_too_many(scene):
    """A restore takes one from where it is run, and all that it is handed."""
    witness = scene.witness("poll", "terminal_alone_two")
    scene.expect_code(scene.dump(witness.pid, "-R"), "Refused")
    result = scene.dump(witness.pid, "-R", "-j")
    scene.expect_code(result, "Refused")
    require("of 2 terminals are no part of the dump" in result.err, result.err)
    options = sorted(set(re.findall(r"--external (tty\[[0-9a-f]+:[0-9a-f]+\])", result.err)))
    require(len(options) == 2, f"not two remedies: {result.err}")
    scene.expect_images({})
    scene.expect_success(scene.dump(witness.pid, "-R", "-j", "--external", options[1]))
    witness.expect_unharmed()
    both = [word for option in options for word in ("--external", option)]
    scene.expect_success(scene.dump(witness.pid, "-R", *both))
    witness.expect_unharmed()


@case
def terminal_of_a_driver(scene):
    if not os.path.exists("/dev/tty0"):
        raise Skipped("there are no virtual consoles")
    witness = scene.witness("poll", "terminal_serial")
    result = scene.dump(witness.pid, "-R")
    words = ("(terminal, /dev/tty0)", "of terminals only pseudo-terminals")
    scene.expect_failure(result, "Refused", *words)
    option = re.search(r"--external (tty\[[0-9a-f]+:[0-9a-f]+\])", result.err)
    require(option is not None, f"no remedy: {result.err}")
    explained = scene.run(scene.dumpctl, "explain", "-t", str(witness.pid), "--json")
    needed = json.loads(explained.out)["needed_options"]
    require(needed == [f"--external {option.group(1)}"], f"explain names {needed}")
    scene.expect_success(scene.dump(witness.pid, "-R", "--external", option.group(1)))
    witness.expect_unharmed()
