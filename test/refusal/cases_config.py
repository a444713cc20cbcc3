"""Configuration files: which are read, what counts, and how a bad one is told."""

import os

from registry import case
from scene import require


def _write(scene, name, text):
    path = os.path.join(scene.directory, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(text)
    return path


def _env(scene, **variables):
    """A wrapper that gives a HOME of its own."""
    return ["/usr/bin/env", f"HOME={scene.directory}", *(f"{k}={v}" for k, v in variables.items())]


@case
def options_from_configuration_files(scene):
    witness = scene.witness()
    _write(scene, ".dumpctl/default.conf", "leave-running  # not killed\njson\n")
    scene.expect_success(scene.dump(witness.pid, wrapper=_env(scene)))
    scene.expect_whole_dump()
    witness.expect_unharmed()

    # Each file overrides what the one before it says, and the command line overrides all.
    pids = [scene.make_directory(f"work-{number}") for number in range(4)]
    _write(scene, ".dumpctl/default.conf", f'leave-running\npidfile pid\nwork-dir "{pids[0]}"\n')
    environment = _write(scene, "environment.conf", f"work-dir={pids[1]}\n")
    named = _write(scene, "named.conf", f"work-dir {pids[2]}\n")
    wrapper = _env(scene, CRIU_CONFIG_FILE=environment)
    for number, options in (
        (0, _env(scene)),
        (1, wrapper),
        (2, (*wrapper, "--config", named)),
        (3, (*wrapper, "--config", named, "-W", pids[3])),
    ):
        split = options.index("--config") if "--config" in options else len(options)
        result = scene.dump(witness.pid, *options[split:], wrapper=options[:split])
        scene.expect_success(result)
        found = [n for n, place in enumerate(pids) if os.path.exists(os.path.join(place, "pid"))]
        require(found == [number], f"the pid file is in {found}, not in {number}")
        os.remove(os.path.join(pids[number], "pid"))
    witness.expect_unharmed()

    # Without the default files nobody says that it is to run on.
    scene.expect_success(scene.dump(witness.pid, "--no-default-config", wrapper=_env(scene)))
    witness.expect_gone()


@case
def flags_that_the_command_line_takes_back(scene):
    witness = scene.witness("poll", "odd")
    named = _write(scene, "named.conf", "ghost-limit 64M\nleave-running\n")
    scene.expect_success(scene.dump(witness.pid, "--config", named))
    result = scene.dump(witness.pid, "--config", named, "--ghost-limit", "1K")
    scene.expect_code(result, "Refused")
    witness.expect_unharmed()


@case
def explain_with_a_configuration(scene):
    """One file serves both: what only dump knows is left out."""
    witness = scene.witness("poll", "odd")
    named = _write(scene, "named.conf", "leave-running\nimages-dir /nowhere\nghost-limit 64M\n")
    explain = (scene.dumpctl, "explain", "-t", str(witness.pid))
    scene.expect_code(scene.run(*explain), "Refused", silent=False)
    scene.expect_success(scene.run(*explain, "--config", named))
    witness.expect_unharmed()


@case
def configuration_files_that_are_bad(scene):
    witness = scene.witness()
    for text, words in (
        ("leave-running\nno-such-option\n", ":2: there is no option no-such-option"),
        ("restore-detached\n", ":1: -d, --restore-detached is not served by this version"),
        ('log-file "never ends\n', ":1: a quoted value"),
        ("# one\n\n--leave-running\n", ":3: "),
        ("timeout soon\n", ":1: --timeout"),
        ("leave-running yes\n", ":1: leave-running takes no value"),
        ("config other.conf\n", ":1: config is no option of a configuration file"),
    ):
        bad = _write(scene, "bad.conf", text)
        for options, wrapper in (
            (("--config", bad), ()),
            ((), _env(scene, CRIU_CONFIG_FILE=bad)),
        ):
            result = scene.dump(witness.pid, *options, wrapper=wrapper)
            scene.expect_failure(result, "Config", bad + words)
    default = _write(scene, ".dumpctl/default.conf", "\nno-such-option\n")
    scene.expect_failure(scene.dump(witness.pid, wrapper=_env(scene)), "Config", default + ":2: ")
    missing = os.path.join(scene.directory, "missing.conf")
    result = scene.dump(witness.pid, "--config", missing)
    scene.expect_failure(result, "Config", missing, "No such file")
    # Where there are none, none is missed; other commands have no configuration.
    scene.expect_success(scene.run(*_env(scene), scene.dumpctl, "check"))
    scene.expect_images({})
    witness.expect_unharmed()
