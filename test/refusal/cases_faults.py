"""What goes wrong in the middle: any step fails, or the target is killed by somebody else."""

import json
import os

from registry import case, case_each
from scene import has_ended, require, wait_until

# The steps whose failure leaves nothing; after "commit" the dump stands.
UNTIL_COMMIT = ("preflight", "images", "freeze", "collect", "ask", "memory", "serialise", "commit")
SHAPES = ("poll", "busy", "stopped")
FREEZING = ("collect", "ask", "memory")


def _witness(scene, shape):
    witness = scene.witness("poll" if shape == "stopped" else shape)
    if shape == "stopped":
        witness.stop()
    return witness


@case_each(f"{point}.{shape}" for point in UNTIL_COMMIT for shape in SHAPES)
def failing(scene, what):
    point, shape = what.split(".")
    witness = _witness(scene, shape)
    scene.expect_failure(scene.dump(witness.pid, fault=f"{point}=fail"), "Internal", point)
    scene.expect_images({})
    witness.expect_unharmed()


@case_each(f"{point}.{shape}" for point in UNTIL_COMMIT + ("resume",) for shape in SHAPES)
def failing_left_running(scene, what):
    point, shape = what.split(".")
    witness = _witness(scene, shape)
    scene.expect_failure(scene.dump(witness.pid, "-R", fault=f"{point}=fail"), "Internal", point)
    scene.expect_images({})
    witness.expect_unharmed()


def _expect_unfinished(scene, shape, options, fault, *says):
    """The images stand by then, and are whole: the process lives on beside its dump."""
    witness = _witness(scene, shape)
    result = scene.dump(witness.pid, *options, fault=fault)
    whole, *rest = (text.format(who=f"process {witness.pid} (witness)") for text in says)
    whole = f"the dump in {scene.images} is whole, but {whole}"
    scene.expect_failure(result, "Unfinished", whole, *rest)
    scene.expect_whole_dump()
    witness.expect_unharmed()


@case_each(SHAPES)
def failing_to_kill_in_the_end(scene, shape):
    says = "{who} could not be killed and goes on: made to fail at resume"
    _expect_unfinished(scene, shape, (), "resume=fail", says)


@case_each(SHAPES)
def failing_to_stop_in_the_end(scene, shape):
    says = "{who} could not be left stopped and goes on: "
    _expect_unfinished(scene, shape, ("-s",), "resume=fail", says)


@case_each(SHAPES)
def failing_to_tell(scene, shape):
    """Nothing is lost but the statistics."""
    says = ("not all could be told of it", "{who} runs on: ")
    _expect_unfinished(scene, shape, ("-R",), "finish=fail", *says)


@case_each(f"{point}.{shape}" for point in UNTIL_COMMIT + ("resume", "finish") for shape in SHAPES)
def dumpctl_killed(scene, what):
    point, shape = what.split(".")
    witness = _witness(scene, shape)
    killed = scene.dump(witness.pid, "-R", fault=f"{point}=kill")
    require(killed.code == -9, f"it was to be killed: {killed}")
    witness.expect_unharmed()


def _is_dead(pid):
    """With all of its threads, if it is not gone."""
    try:
        return all(has_ended(f"{pid}/task/{tid}") for tid in os.listdir(f"/proc/{pid}/task"))
    except (FileNotFoundError, ProcessLookupError):
        return True


def _kill_at(scene, point, shape, *options):
    """Dumps a witness that somebody kills while the dump stalls at `point`."""
    witness = _witness(scene, shape)

    def kill(_):
        witness.kill()
        wait_until(lambda: _is_dead(witness.pid), "the end of the witness")

    result = scene.dump_stalled(witness.pid, point, kill, *options)
    witness.expect_gone()
    return witness, result


@case_each(f"{point}.{shape}" for point in ("freeze",) + FREEZING for shape in SHAPES)
def target_killed(scene, what):
    point, shape = what.split(".")
    witness, result = _kill_at(scene, point, shape)
    scene.expect_failure(result, "TargetDied", f"process {witness.pid}", "killed by somebody else")
    scene.expect_images({})


@case_each(f"{point}.{shape}" for point in ("serialise", "commit", "resume") for shape in SHAPES)
def target_killed_after_its_memory_was_saved(scene, what):
    """All was read by then: the dump is whole, and the process was to be killed anyway."""
    point, shape = what.split(".")
    _, result = _kill_at(scene, point, shape)
    scene.expect_success(result)
    require("; it died meanwhile" in result.out, f"who killed it? {result}")
    scene.expect_whole_dump()


@case_each(f"{point}.{shape}" for point in ("resume", "serialise", "commit") for shape in SHAPES)
def target_killed_when_it_runs_again(scene, what):
    """As if it had been killed a moment after the dump; but what is known by the end is said."""
    point, shape = what.split(".")
    _, result = _kill_at(scene, point, shape, "-R", "--json")
    scene.expect_success(result)
    require(json.loads(result.out)["outcome"] == "died", f"what became of it? {result}")
    scene.expect_whole_dump()


@case
def pid_file_that_cannot_be_written_in_the_end(scene):
    """By then the process is dead, and nobody may take this for a dump that failed."""
    witness = scene.witness()
    os.mkdir(os.path.join(scene.images, "pid"))
    result = scene.dump(witness.pid, "--pidfile", "pid")
    who = f"process {witness.pid} (witness) was killed: "
    scene.expect_failure(result, "Unfinished", "is whole, but", who, "Is a directory")
    os.rmdir(os.path.join(scene.images, "pid"))
    scene.expect_whole_dump()
    witness.expect_gone()
