"""Who may not dump: each missing capability is named."""

import os

from registry import case
from scene import require, skip_without, wait_until


def _expect_refused(scene, wrapper, *words):
    witness = scene.witness()
    os.chmod(scene.images, 0o777)
    scene.expect_failure(scene.dump(witness.pid, wrapper=wrapper), "Permission", *words)
    scene.expect_images({})
    witness.expect_unharmed()


def _without(*capabilities):
    dropped = ",".join(f"-{name}" for name in capabilities)
    return [skip_without("setpriv"), "--bounding-set", dropped]


@case
def nobody(scene):
    user = [skip_without("setpriv"), "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    _expect_refused(scene, user, "needs CAP_SYS_PTRACE", "run dumpctl as root")


@case
def root_without_sys_ptrace(scene):
    _expect_refused(scene, _without("sys_ptrace"), "needs CAP_SYS_PTRACE")


@case
def root_without_checkpoint_restore(scene):
    wrapper = _without("sys_admin", "checkpoint_restore")
    _expect_refused(scene, wrapper, "needs CAP_CHECKPOINT_RESTORE (or CAP_SYS_ADMIN)")


@case
def root_without_sys_admin(scene):
    """Which is what `dumpctl check` says: all can be dumped but what runs under seccomp."""
    plain = scene.witness("busy")
    result = scene.dump(plain.pid, "-R", wrapper=_without("sys_admin"))
    scene.expect_success(result)
    scene.expect_whole_dump()
    plain.expect_unharmed()


@case
def root_without_sys_admin_and_a_target_under_seccomp(scene):
    witness = scene.witness("poll", "seccomp")
    result = scene.dump(witness.pid, wrapper=_without("sys_admin"))
    who = f"thread {witness.pid} of process {witness.pid} runs under seccomp"
    scene.expect_failure(result, "Permission", who, "needs CAP_SYS_ADMIN", "run dumpctl as root")
    scene.expect_images({})
    witness.expect_unharmed()


@case
def user_with_checkpoint_restore_alone(scene):
    """Who dumps a process of their own needs no more."""
    nobody = [skip_without("setpriv"), "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    pid = scene.start(*nobody, "/bin/sleep", "100")

    def sleeps():
        with open(f"/proc/{pid}/comm") as comm:
            return comm.read() == "sleep\n"

    wait_until(sleeps, "the exec")
    os.chown(scene.images, 65534, 65534)
    one = "+checkpoint_restore"
    rights = ["--inh-caps", one, "--ambient-caps", one, "--bounding-set", f"-all,{one}"]
    for spelling in ((), ("--unprivileged",)):
        scene.expect_success(scene.dump(pid, "-R", *spelling, wrapper=[*nobody, *rights]))
    scene.expect_whole_dump()
    require(scene.reaper.wait(pid, 0) is None, "the process ended")
