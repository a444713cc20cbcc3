"""Who asks dumpctl to end: before the images stand nothing was, and from then on the dump is done."""

import os
import resource
import signal
import subprocess
import time

from calls import ended, traced
from registry import case, case_each
from scene import Stall, contents, require, wait_until

BEFORE_COMMIT = ("preflight", "images", "freeze", "collect", "ask", "memory", "serialise", "commit")
SHAPES = ("poll", "busy", "stopped")


def _witness(scene, shape):
    witness = scene.witness("poll" if shape == "stopped" else shape)
    if shape == "stopped":
        witness.stop()
    return witness


def _send(number):
    return lambda dumpctl: os.kill(dumpctl, number)


def _expect_interrupted(result, number):
    """Dead by the signal, as a shell wants to see it, after one line."""
    require(result.code == -number, f"expected death by signal {number}, got {result}")
    line = f"dumpctl: interrupted by {signal.Signals(number).name}: "
    require(result.err.startswith(line) and result.err.count("\n") == 1, f"it said {result}")
    require(result.out == "", f"a report of no dump: {result}")


@case_each(f"{point}.{shape}" for point in BEFORE_COMMIT for shape in SHAPES)
def interrupted(scene, what):
    point, shape = what.split(".")
    witness = _witness(scene, shape)
    result = scene.dump_stalled(witness.pid, point, _send(signal.SIGTERM))
    _expect_interrupted(result, signal.SIGTERM)
    scene.expect_images({})
    witness.expect_unharmed()


@case_each(BEFORE_COMMIT + ("resume",))
def interrupted_left_running(scene, point):
    witness = scene.witness()
    result = scene.dump_stalled(witness.pid, point, _send(signal.SIGINT), "-R")
    _expect_interrupted(result, signal.SIGINT)
    scene.expect_images({})
    witness.expect_unharmed()


@case_each(BEFORE_COMMIT)
def interrupted_over_an_earlier_dump(scene, point):
    witness = scene.witness()
    scene.expect_success(scene.dump(witness.pid, "-R"))
    earlier = contents(scene.images)
    result = scene.dump_stalled(witness.pid, point, _send(signal.SIGHUP))
    _expect_interrupted(result, signal.SIGHUP)
    scene.expect_images(earlier)
    witness.expect_unharmed()


@case
def interrupted_again_and_again(scene):
    witness = scene.witness()

    def send_many(dumpctl):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM, signal.SIGINT):
            os.kill(dumpctl, number)

    result = scene.dump_stalled(witness.pid, "memory", send_many)
    _expect_interrupted(result, signal.SIGINT)
    scene.expect_images({})
    witness.expect_unharmed()


@case
def interrupted_while_it_waits_for_a_stop(scene):
    """Of a thread that sleeps uninterruptibly: nobody waits for the timeout."""
    witness = scene.witness("vfork")
    log = os.path.join(scene.directory, "log")
    begun = time.monotonic()

    def interrupt(dumpctl):
        def waits():
            with open(f"/proc/{witness.pid}/status") as status:
                return f"TracerPid:\t{dumpctl}\n" in status.read()

        wait_until(waits, "the freeze")
        os.kill(dumpctl, signal.SIGINT)

    command = scene.command(witness.pid, "-v4", "-o", log, "--timeout", "15")
    result = scene.run(*command, meanwhile=interrupt)
    _expect_interrupted(result, signal.SIGINT)
    require(time.monotonic() - begun < 8, "it waited for the timeout")
    scene.expect_images({})
    witness.expect_unharmed()


@case_each(("resume", "finish"))
def too_late_to_be_interrupted(scene, point):
    """The images stand: what is left of the dump is done, and said."""
    witness = scene.witness()
    result = scene.dump_stalled(witness.pid, point, _send(signal.SIGTERM))
    scene.expect_success(result)
    require("it was killed" in result.out, f"what became of it? {result}")
    scene.expect_whole_dump()
    witness.expect_gone()


@case
def too_late_to_be_interrupted_left_running(scene):
    witness = scene.witness()
    result = scene.dump_stalled(witness.pid, "finish", _send(signal.SIGINT), "-R")
    scene.expect_success(result)
    scene.expect_whole_dump()
    witness.expect_unharmed()


@case
def hangup_that_is_ignored(scene):
    """As under nohup(1)."""
    witness = scene.witness()
    ignoring = ("/bin/sh", "-c", "trap '' HUP; exec \"$@\"", "sh")
    result = scene.dump_stalled(
        witness.pid, "memory", _send(signal.SIGHUP), "-R", wrapper=ignoring
    )
    scene.expect_success(result)
    scene.expect_whole_dump()
    witness.expect_unharmed()


@case
def interrupted_as_the_first_process(scene):
    """Which no signal of its own ends: the exit code is left to tell."""
    # Once the child runs sleep, and not the shell any more; with files that it opened itself, since
    # those of another mount namespace may have no path in its own.
    script = (
        'sleep 100 >/dev/null 2>&1 & until [ "$(cat /proc/$!/comm)" = sleep ]; do :; done; '
        'exec "$0" dump -j -t $! -D "$1" -v4 -o "$2"'
    )
    log = os.path.join(scene.directory, "log")
    command = ("unshare", "-p", "-f", "--mount-proc", "/bin/sh", "-c", script)

    stall = Stall(scene.directory, "memory")

    def interrupt(unshare):
        with open(f"/proc/{unshare}/task/{unshare}/children") as children:
            for child in children.read().split():
                os.kill(int(child), signal.SIGTERM)

    result = scene.run(
        *command, scene.dumpctl, scene.images, log, fault=stall.fault,
        meanwhile=stall.during(interrupt)
    )
    scene.expect_failure(result, "Interrupted", "interrupted by SIGTERM")
    scene.expect_images({})


@case
def reader_of_the_log_that_has_gone(scene):
    """A write that would end dumpctl by SIGPIPE, were it let."""
    witness = scene.witness()
    process = subprocess.Popen(
        scene.command(witness.pid, "-R", "-v4"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGPIPE, signal.SIG_DFL),
    )
    process.stderr.close()
    out = process.stdout.read().decode()
    require(process.wait(20) == 0 and "it runs on" in out, f"{process.returncode}: {out}")
    scene.expect_whole_dump()
    witness.expect_unharmed()


def expect_too_large(scene, *command):
    """A write would end it by SIGXFSZ, were it let."""
    limit = 1 << 20
    process = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: (
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL),
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        ),
    )
    require(process.returncode == 12, f"{process.returncode}: {process.stderr}")
    require("File too large" in process.stderr, process.stderr)
    scene.expect_images({})


@case
def files_that_may_not_grow_so_large(scene):
    witness = scene.witness("poll", "big")
    expect_too_large(scene, *scene.command(witness.pid))
    witness.expect_unharmed()


def _with_closed_pipe(*command):
    """Runs it with a standard output that nobody reads: its exit code, and what it said."""
    reader, writer = os.pipe()
    os.close(reader)
    process = subprocess.run(
        command,
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGPIPE, signal.SIG_DFL),
    )
    os.close(writer)
    return process.returncode, process.stderr


@case_each(("closed", "full"))
def report_that_cannot_be_written(scene, out):
    """The dump stands and the process is killed: that is told by the exit code."""
    witness = scene.witness()
    command = scene.command(witness.pid, "--json")
    if out == "closed":
        code, err = _with_closed_pipe(*command)
        why = "Broken pipe"
    else:
        result = scene.run("/bin/sh", "-c", 'exec "$@" >/dev/full', "sh", *command)
        code, err = result.code, result.err
        why = "No space left on device"
    require(code == 20 and err.count("\n") == 1, f"{code}: {err}")
    require("are done, but not reported" in err and why in err, err)
    scene.expect_whole_dump()
    witness.expect_gone()


@case
def answer_that_nobody_reads_any_more(scene):
    """Such as that to head(1): whoever does nothing but answer ends as others do, without a word."""
    witness = scene.witness()
    scene.expect_success(scene.dump(witness.pid, "-R"))
    for command in (("show", scene.images), ("explain", "-t", str(witness.pid)), ("check",)):
        code, err = _with_closed_pipe(scene.dumpctl, *command)
        require((code, err) == (-signal.SIGPIPE, ""), f"{command}: {code}: {err}")
    witness.expect_unharmed()


def _interrupted_calls(scene):
    """A wrapper whose program has its first fallocate(2) of each thread ended by a signal, and what
    tells whether there was one."""
    wrapper, trace = traced(scene, "fallocate", "-e", "inject=fallocate:error=EINTR:when=1")
    return wrapper, lambda: any("EINTR" in call for call in ended(trace))


@case
def space_whose_reservation_a_signal_ends(scene):
    """As on tmpfs, for any signal, one that stops as well: it is reserved then."""
    witness = scene.witness("poll", "big")
    wrapper, was_ended = _interrupted_calls(scene)
    scene.expect_success(scene.dump(witness.pid, "-R", "--snapshot=off", wrapper=wrapper))
    require(was_ended(), "no space was to be reserved")
    scene.expect_whole_dump()
    witness.expect_unharmed()


@case
def space_whose_freeing_a_signal_ends(scene):
    witness = scene.witness("poll", "big")
    later = scene.make_directory("later")
    for images in (scene.images, later):
        scene.expect_success(scene.dump(witness.pid, "-R", "--snapshot=off", images=images))
    os.symlink("../images", os.path.join(later, "parent"))
    wrapper, was_ended = _interrupted_calls(scene)
    freed = scene.run(*wrapper, scene.dumpctl, "dedup", "-D", later)
    scene.expect_success(freed)
    require(was_ended() and "Freed 0" not in freed.out, f"nothing was to be freed: {freed}")
    witness.expect_unharmed()
