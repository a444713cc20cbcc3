"""What the command line may not say."""

import re

from registry import case
from scene import require


def _expect_refused(scene, options, *words):
    result = scene.run(scene.dumpctl, "dump", *options)
    scene.expect_failure(result, "Usage", *words)
    scene.expect_images({})


def _dumping(scene, witness, *options):
    return ("-t", str(witness.pid), "-D", scene.images, *options)


@case
def options_that_are_not_served(scene):
    with open(scene.options_source) as source:
        row = r"""^    \{"([\w-]+)", (?:0|'(.)'), (\w+)(, kNegatable)?(?:, false, ".*")?\}"""
        rows = re.findall(row, source.read(), re.MULTILINE)
    require(len(rows) >= 40, f"only {len(rows)} options were found")
    witness = scene.witness()
    for index, (name, letter, takes_value, negatable) in enumerate(rows):
        value = ["value"] if takes_value == "kYes" else []
        spellings = [[f"--{name}", *value], [f"--{name}=value"]]
        if letter:
            spellings.append([f"-{letter}", *value])
        if negatable:
            spellings.append([f"--no-{name}"])
        # One of each; CriuOptionsTest has them all.
        spelling = spellings[index % len(spellings)]
        named = spelling[0].partition("=")[0]
        options = _dumping(scene, witness, *spelling)
        _expect_refused(scene, options, named, "is not served by this version")
    witness.expect_unharmed()


@case
def values_that_make_no_sense(scene):
    witness = scene.witness()
    for options, word in (
        (("-t", "abc", "-D", scene.images), "abc"),
        (("-t", "12x", "-D", scene.images), "12x"),
        (("-t", "99999999999", "-D", scene.images), "99999999999"),
        (("-t", "", "-D", scene.images), "--tree"),
        (("-t", "0", "-D", scene.images), "--tree"),
        (("-t", "-5", "-D", scene.images), "-5"),
        (("--tree=-5", "-D", scene.images), "-5"),
        (("-t",), "--tree"),
        (("-D", scene.images), "--tree"),
        (_dumping(scene, witness, "--timeout", "soon"), "soon"),
        (_dumping(scene, witness, "--external", "tty[8800]"), "tty[8800]"),
        (_dumping(scene, witness, "--external", "tty[88:00]", "--external", "dev[1/3]:x"), "dev[1/3]"),
        (_dumping(scene, witness, "--external"), "--external"),
        (_dumping(scene, witness, "--timeout", "-1"), "-1"),
        (_dumping(scene, witness, "--timeout="), "--timeout"),
        (_dumping(scene, witness, "--timeout", ""), "--timeout"),
        (_dumping(scene, witness, "--timeout", "1.5"), "1.5"),
        (_dumping(scene, witness, "--timeout", "99999999999999999999"), "99999999999999999999"),
        (_dumping(scene, witness, "--ghost-limit", "much"), "much"),
        (_dumping(scene, witness, "--external", "file[1]"), "file[MNT_ID:INODE]"),
        (_dumping(scene, witness, "--external", "file[x:1]"), "file[MNT_ID:INODE]"),
        (_dumping(scene, witness, "--external", "mnt[/]:root"), "mnt[/]:root"),
        (_dumping(scene, witness, "--ghost-limit", "M"), "--ghost-limit"),
        (_dumping(scene, witness, "--ghost-limit", "99999999999G"), "99999999999G"),
        (_dumping(scene, witness, "--verbosity=loud"), "loud"),
        (_dumping(scene, witness, "--manage-cgroups=some"), "some"),
        (_dumping(scene, witness, "--cgroup-root", "cpu:here"), "cpu:here"),
        (_dumping(scene, witness, "--cgroup-root"), "--cgroup-root"),
        (_dumping(scene, witness, "--cgroup-props", "cpu"), "CONTROLLER"),
        (_dumping(scene, witness, "--cgroup-props-file", "/none"), "/none"),
        (_dumping(scene, witness, "--no-such-option"), "--no-such-option"),
        (_dumping(scene, witness, "stray"), "stray"),
        (_dumping(scene, witness, "-R", "-s"), "--leave-running"),
        (_dumping(scene, witness, "--snapshot=cow"), "--snapshot=cow: it is for --leave-running"),
        (_dumping(scene, witness, "--snapshot=pre-copy"),
         "--snapshot=pre-copy: it is for --leave-running"),
        (_dumping(scene, witness, "-R", "--snapshot=pre-copy", "--write-once=off"),
         "--snapshot=pre-copy: it needs parent images"),
        (_dumping(scene, witness, "-R", "--snapshot=pre-copy", "--track-mem"),
         "--snapshot=pre-copy: what is written is told once"),
        (_dumping(scene, witness, "-R", "--snapshot=some"), "--snapshot"),
        (_dumping(scene, witness, "-R", "--snapshot-max-extra=much"), "--snapshot-max-extra"),
        (_dumping(scene, witness, "-R", "--leave-stopped"), "--leave-stopped"),
    ):
        _expect_refused(scene, options, word)
    witness.expect_unharmed()


@case
def commands_that_do_not_exist(scene):
    for arguments, word in (((), "command"), (("restore",), "restore"), (("dmup",), "dmup")):
        scene.expect_failure(scene.run(scene.dumpctl, *arguments), "Usage", word)


@case
def help_is_no_error(scene):
    for arguments in (("--help",), ("dump", "--help"), ("--version",)):
        result = scene.run(scene.dumpctl, *arguments)
        require(result.code == 0 and result.err == "" and result.out, f"{arguments}: {result}")


@case
def faults_that_do_not_exist(scene):
    witness = scene.witness()
    scene.expect_failure(scene.dump(witness.pid, fault="nowhere=fail"), "Usage", "nowhere=fail")
    scene.expect_failure(scene.dump(witness.pid, fault="memory"), "Usage", "memory")
    scene.expect_images({})
    witness.expect_unharmed()
