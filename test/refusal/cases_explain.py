"""What `dumpctl explain` says of a tree that a dump would refuse, or take."""

import json
import os
import re
import signal

from registry import case
from scene import require
from cases_holdings import in_a_foreign_session


def _explain(scene, pid, *options):
    return scene.run(scene.dumpctl, "explain", "-t", str(pid), *options)


@case
def explain_names_what_a_dump_refuses(scene):
    witness = scene.witness("poll", "fds")
    refused = scene.dump(witness.pid)
    scene.expect_code(refused, "Refused")
    told = refused.err.splitlines()[1:]
    result = _explain(scene, witness.pid, "--json")
    scene.expect_code(result, "Refused", silent=False)
    explanation = json.loads(result.out)
    require(explanation["can_dump"] is False, result)
    blockers = ["  process {pid}, {resource}: {why}; {remedy}".format(**blocker)
                for blocker in explanation["blockers"]]
    require(len(told) >= 8 and blockers == told, f"{told} by dump, {blockers} by explain")
    require(f"for {len(told)} reasons" in result.err, result)
    result = _explain(scene, witness.pid)
    require(all(line in result.out for line in told), f"{told} is not in {result}")
    witness.expect_unharmed()


@case
def explain_lists_what_a_dump_writes(scene):
    witness = scene.witness("poll", "tree")
    child = int(re.search(r"^child (\d+)$", witness.status(), re.MULTILINE).group(1))
    explanation = json.loads(_explain(scene, child, "-j", "--json").out)
    tasks = explanation["tasks"]
    require([task["parent"] for task in tasks] == [0, child], f"{tasks}")
    require(tasks[0]["descriptors"].get("memory device", 0) >= 1, f"{tasks}")
    require(tasks[0]["pages"] > 10 and tasks[0]["mappings"] > tasks[0]["file_mappings"] > 3,
            f"{tasks}")
    witness.expect_unharmed()

    alone = scene.witness()
    result = _explain(scene, alone.pid, "--json")
    scene.expect_success(result)
    explanation = json.loads(result.out)
    require(explanation["can_dump"] is True and explanation["blockers"] == [], result)
    scene.expect_success(scene.dump(alone.pid, "-R"))
    written = sorted(os.listdir(scene.images))
    require(sorted(explanation["images"]) == written, f"{explanation['images']}, {written}")
    pages = os.path.getsize(os.path.join(scene.images, "pages-1.img"))
    require(abs(explanation["bytes_of_memory"] - pages) <= 64 << 10, f"{pages}, {result}")
    result = _explain(scene, alone.pid)
    scene.expect_success(result)
    require(result.out.endswith("Nothing stands in its way.\n"), result)
    alone.expect_unharmed()


@case
def explain_names_options_that_help(scene):
    shell, child = in_a_foreign_session(scene)
    result = _explain(scene, child, "--json")
    scene.expect_code(result, "Refused", silent=False)
    explanation = json.loads(result.out)
    require(explanation["needed_options"] == ["--shell-job"], result)
    require(explanation["blockers"][0]["option"] == "--shell-job", result)
    require(explanation["blockers"][0]["resource"] == f"session {shell}", result)
    require("Options that help: --shell-job\n" in _explain(scene, child).out, result)
    scene.expect_success(_explain(scene, child, "-j"))
    os.kill(child, signal.SIGTERM)


@case
def explain_of_what_is_no_process(scene):
    result = _explain(scene, 2**22 + 1)
    scene.expect_failure(result, "NoSuchTask", str(2**22 + 1))
    scene.expect_failure(_explain(scene, 0), "Usage", "--tree")
