"""--action-script: what a script may see and do, and what becomes of a dump when it fails."""

import json
import os
import time

from registry import case, case_each
from scene import contents, has_ended, require, tracer_of, wait_until

# Tells what it sees, a line each; then does what its caller asks of it.
HEAD = """#!/bin/sh
exec 9>>"$SCRIPT_LOG"
echo "$0 $CRTOOLS_SCRIPT_ACTION" >&9
"""


def _script(scene, body, name="script"):
    path = os.path.join(scene.directory, name)
    with open(path, "w") as file:
        file.write(HEAD + body)
    os.chmod(path, 0o755)
    return path


def _dump(scene, pid, *options, **arguments):
    wrapper = ("/usr/bin/env", f"SCRIPT_LOG={scene.directory}/script.log")
    return scene.dump(pid, *options, wrapper=wrapper, **arguments)


def _told(scene):
    try:
        with open(os.path.join(scene.directory, "script.log")) as log:
            return log.read().splitlines()
    except FileNotFoundError:
        return []


def _is_script(scene, *names):
    stages = ("pre-dump", "post-dump")
    return [f"{scene.directory}/{name} {stage}" for stage in stages for name in names]


@case_each(("killed", "-R", "-s"))
def script_sees_the_dump(scene, what):
    """At first nothing is frozen; then all is, with all images there but none in its place."""
    witness = scene.witness()
    seen = os.path.join(scene.directory, "seen")
    script = _script(scene, f"""
      {{ id -u; pwd; grep -e ^State -e ^TracerPid /proc/$CRTOOLS_INIT_PID/status
        echo dumper $PPID; ls "$CRTOOLS_IMAGE_DIR/"; }} > {seen}.$CRTOOLS_SCRIPT_ACTION
      cat {scene.images}/inventory.img 2>/dev/null && exit 5
      [ $CRTOOLS_SCRIPT_ACTION = pre-dump ] || echo beside > "$CRTOOLS_IMAGE_DIR/beside"
      [ $CRTOOLS_SCRIPT_ACTION = pre-dump ] || mkdir "$CRTOOLS_IMAGE_DIR/below"
      echo said
      """)
    other = _script(scene, "", name="other")
    options = () if what == "killed" else (what,)
    result = _dump(scene, witness.pid, "--action-script", script, "--action-script", other,
                   "--json", *options)
    require(result.code == 0 and result.err == "said\n" * 2, result)
    json.loads(result.out)  # nothing that a script prints is in between
    require(_told(scene) == _is_script(scene, "other", "script"), _told(scene))
    views = {}
    for stage in ("pre-dump", "post-dump"):
        with open(f"{seen}.{stage}") as file:
            views[stage] = file.read().splitlines()
    uid, cwd, state, tracer, dumper = views["pre-dump"]
    require((uid, cwd, state[7], tracer) == ("0", scene.images, "S", "TracerPid:\t0"), f"{views}")
    uid, cwd, state, tracer, dumper, *images = views["post-dump"]
    require(cwd == scene.images and state[7] == "t", f"{views}")
    require(tracer.split()[1] == dumper.split()[1], f"{views}")
    written = set(os.listdir(scene.images))
    require(written - set(images) == {"stats-dump", "beside", "below"}, f"{written}, {images}")
    require("inventory.img" in images and set(images) < written, f"{written}, {images}")
    if what == "-R":
        witness.expect_unharmed()
    elif what == "-s":
        wait_until(lambda: witness.state() == "T", "the stop")
    else:
        witness.expect_gone()


@case_each(("pre-dump", "post-dump"))
def script_that_fails(scene, stage):
    """The others are run all the same; the dump ends, and an earlier one stays."""
    witness = scene.witness("poll", "linked")
    options = ("--link-remap", "--ghost-limit", "4M")
    script = _script(scene, f"""
      [ $CRTOOLS_SCRIPT_ACTION = {stage} ] || exit 0
      mkdir -p "$CRTOOLS_IMAGE_DIR/deep/below"
      exit 7
      """)
    beside = _script(scene, "exit 0", name="beside")
    earlier = scene.witness()
    scene.expect_success(scene.dump(earlier.pid, "-R"))
    before = contents(scene.images)
    result = _dump(scene, witness.pid, *options, "--action-script", beside, "--action-script", script)
    scene.expect_failure(result, "Script", f"action script {script} ({stage})", "status 7")
    count = 2 if stage == "pre-dump" else 4
    require(_told(scene) == _is_script(scene, "script", "beside")[:count], _told(scene))
    if stage == "pre-dump":  # it is its own affair what it leaves in the directory itself
        os.removedirs(os.path.join(scene.images, "deep/below"))
    scene.expect_images(before)
    witness.expect_unharmed()
    scene.expect_success(scene.dump(earlier.pid, "-R"))


@case
def scripts_that_cannot_be_run(scene):
    witness = scene.witness()
    plain = _script(scene, "")
    os.chmod(plain, 0o644)
    for script, why in (
        ("/no/such/script", "No such file or directory"),
        ("no-such-program-anywhere", "No such file or directory"),
        ("./script", "No such file or directory"),  # it is looked for in the work directory
        (plain, "Permission denied"),
        (scene.images, "Permission denied"),
    ):
        result = _dump(scene, witness.pid, "--action-script", script)
        scene.expect_failure(result, "Script", f"action script {script} (pre-dump)", why)
    scene.expect_images({})
    os.chmod(plain, 0o755)
    for script in ("true", "./script", "../script"):  # along PATH; in the work directory
        work = ("-W", scene.directory if script == "./script" else scene.images)
        scene.expect_success(_dump(scene, witness.pid, "-R", *work, "--action-script", script))
    result = _dump(scene, witness.pid, "--action-script", "true", images="/no/such/directory")
    scene.expect_failure(result, "ImagesDir", "/no/such/directory")
    killed = _script(scene, "kill -SEGV $$", name="killed")
    result = _dump(scene, witness.pid, "--action-script", killed)
    scene.expect_failure(result, "Script", "killed by signal 11")
    witness.expect_unharmed()


@case
def script_that_hangs_with_the_tree_frozen(scene):
    """It is ended, with what it has started, when the timeout is over. That does not run before the
    freeze."""
    witness = scene.witness()
    pids = os.path.join(scene.directory, "pids")
    script = _script(scene, f"""
      [ $CRTOOLS_SCRIPT_ACTION = post-dump ] || exec sleep 5.2
      sleep 1000 & echo $$ $! > {pids}; wait
      """)
    begun = time.monotonic()
    result = _dump(scene, witness.pid, "--timeout", "5", "--action-script", script)
    scene.expect_failure(result, "Timeout", "post-dump", "--timeout")
    require(time.monotonic() - begun > 10, "it was ended too early")
    for pid in _words(pids):
        wait_until(lambda: has_ended(pid), f"the end of {pid}")
    scene.expect_images({})
    witness.expect_unharmed()


def _words(path):
    """Of a file, if it is there: a script may have been ended before it made it."""
    try:
        with open(path) as file:
            return file.read().split()
    except FileNotFoundError:
        return []


@case_each(("pre-dump.INT", "post-dump.INT", "post-dump.KILL"))
def dumpctl_ended_while_a_script_runs(scene, what):
    stage, signal = what.split(".")
    witness = scene.witness()
    script = _script(scene, f"""
      [ $CRTOOLS_SCRIPT_ACTION = {stage} ] || exit 0
      echo $$ > {scene.directory}/pid; kill -{signal} $PPID; sleep 1000
      """)
    result = _dump(scene, witness.pid, "-R", "--action-script", script)
    require(result.code == (-9 if signal == "KILL" else -2), f"it was to be ended: {result}")
    wait_until(lambda: tracer_of(witness.pid) == 0, "the end of the trace")
    with open(os.path.join(scene.directory, "pid")) as file:
        pid = file.read().strip()
    wait_until(lambda: has_ended(pid), "the end of the script")
    if signal == "INT":
        scene.expect_images({})
    witness.expect_unharmed()
    scene.expect_success(scene.dump(witness.pid, "-R"))
    scene.expect_whole_dump()


@case
def script_that_makes_another_tree(scene):
    """What it does to the processes before a dump is what is dumped."""
    witness = scene.witness("poll", "tree")
    script = _script(scene, """
      [ $CRTOOLS_SCRIPT_ACTION = pre-dump ] || exit 0
      for child in $(cat /proc/$CRTOOLS_INIT_PID/task/*/children); do
        killed="$(cat /proc/$child/task/*/children) $child"
        kill -9 $killed
        for pid in $killed; do  # what was killed has its descriptors a little longer
          while [ -n "$(ls /proc/$pid/fd 2>/dev/null)" ]; do sleep .01; done
        done
      done
      """)
    refused = scene.dump(witness.pid)  # a grandchild has what cannot be dumped
    scene.expect_code(refused, "Refused")
    result = _dump(scene, witness.pid, "-R", "--action-script", script)
    scene.expect_success(result)
    require("io_uring" in refused.err, refused)
    scene.expect_whole_dump()
