#!/usr/bin/python3
"""Holds the results of a run inside a container (ctest's JUnit form) against the host's.

  compare.py RESULTS EXCEPTIONS PRESET

A test that has not passed there either stands in EXCEPTIONS, as a line "NAME  REASON" with '*' for any
text, or ends in the same way on the host, where it is run again here.
"""

import fnmatch
import os
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree


def outcomes(path):
    """"passed", "skipped" or "failed", by test."""
    found = {}
    for case in xml.etree.ElementTree.parse(path).getroot().iter("testcase"):
        skipped = case.find("skipped") is not None or case.get("status") in ("notrun", "disabled")
        passed = case.get("status") == "run" and case.find("failure") is None
        found[case.get("name")] = "skipped" if skipped else "passed" if passed else "failed"
    return found


def read_exceptions(path):
    exceptions = {}
    with open(path) as file:
        for line in file:
            if line.startswith("#") or not line.strip():
                continue
            pattern, reason = line.strip().split(None, 1)
            exceptions[pattern] = reason
    return exceptions


def on_the_host(names, preset):
    with tempfile.TemporaryDirectory() as directory:
        results = os.path.join(directory, "results.xml")
        pattern = "^(" + "|".join(re.escape(name) for name in names) + ")$"
        subprocess.run(["ctest", "--preset", preset, "-R", pattern, "--output-junit", results],
                       stdout=subprocess.DEVNULL, check=False)
        return outcomes(results)


def main():
    results, exceptions_path, preset = sys.argv[1:]
    inside = outcomes(results)
    exceptions = read_exceptions(exceptions_path)
    excused, others = {}, {}
    for name, outcome in inside.items():
        if outcome == "passed":
            continue
        pattern = next((p for p in exceptions if fnmatch.fnmatchcase(name, p)), None)
        if pattern is None:
            others[name] = outcome
        else:
            excused.setdefault(pattern, []).append(f"{name} {outcome}")
    host = on_the_host(others, preset) if others else {}
    differing = {name: outcome for name, outcome in others.items() if host.get(name) != outcome}
    for name, outcome in sorted(others.items()):
        if name not in differing:
            print(f"{name}: {outcome}, as on the host")
    for pattern, ended in excused.items():
        print(f"{pattern}: {exceptions[pattern]}: {', '.join(ended)}")
    for name, outcome in sorted(differing.items()):
        print(f"{name}: {outcome} in the container, {host.get(name)} on the host")
    passed = sum(outcome == "passed" for outcome in inside.values())
    print(f"in a container {passed} of {len(inside)} tests passed; {len(inside) - passed} did not, "
          f"of which {sum(map(len, excused.values()))} cannot there and "
          f"{len(others) - len(differing)} do not on the host; {len(differing)} differ")
    return 1 if differing or not inside else 0


if __name__ == "__main__":
    sys.exit(main())
