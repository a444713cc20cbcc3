#!/usr/bin/python3
"""Tells how tests ended on another kernel, from ctest's JUnit form.

  summary.py KERNEL RESULTS

Exit status: 0 if none failed, and some passed.
"""

import re
import sys
import xml.etree.ElementTree


def last_words(case):
    """Why a test was skipped, as it says itself."""
    lines = [line.strip() for line in (case.findtext("system-out") or "").splitlines()]
    lines = [line for line in lines if line and not re.match(r"\[.*\]|Note: ", line)]
    return lines[-1] if lines else "it does not say why"


def main():
    kernel, results = sys.argv[1:]
    passed, failed, skipped = [], [], {}
    for case in xml.etree.ElementTree.parse(results).getroot().iter("testcase"):
        if case.find("skipped") is not None or case.get("status") in ("notrun", "disabled"):
            skipped.setdefault(last_words(case), []).append(case.get("name"))
        elif case.get("status") == "run" and case.find("failure") is None:
            passed.append(case.get("name"))
        else:
            failed.append(case.get("name"))
    for why, names in sorted(skipped.items()):
        print(f"skipped: {', '.join(names)}: {why}")
    for name in failed:
        print(f"failed: {name}")
    print(f"{kernel}: {len(passed)} passed, {sum(map(len, skipped.values()))} skipped, {len(failed)} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
