"""Whether a dump of large processes that write was written in parts: before they stood, what they
had written to since as well, and the rest from copies."""

import json
import os
import re

import dumper as dumpers

# Pages: of a process from which on it is written beforehand; so few that they are no more caught up
# with; and so many that of two processes, whose pages in images count against that, one is copied.
_WORTH = (256 << 20) // 4096
_LITTLE = (8 << 20) // 4096
_COPIED = 20000


def expect(images, trace, pids):
    """In words, how much of it was written when. `pids`: of all processes."""
    report = dumpers.report_while_running(images)
    if any("more memory than there is for copies" in words for words in report["fallbacks"]):
        raise dumpers.Untold(f"too little memory for copies: {report['fallbacks']}")
    _require(not report["fallbacks"], f"not written in parts: {report['fallbacks']}")
    with open(os.path.join(images, "dump.log"), errors="replace") as file:
        log = file.read()
    first = [_number(log, rf"Wrote (\d+) pages of process {pid} beforehand in") for pid in pids]
    _require(all(pages >= _WORTH for pages in first), f"the processes were written as {first}")
    beforehand = _number(log, r"Wrote (\d+) pages beforehand, \d+ of which")
    behind = _number(log, r"Wrote \d+ pages beforehand, (\d+) of which")
    _require(report["pages_pre_copied"] == beforehand, f"of {beforehand} pages: {report}")
    with open(trace) as file:
        events = json.load(file)["traceEvents"]
    rounds = sum(event.get("name") == "catch up" for event in events)
    # Where that gains on them.
    _require(rounds > 0 or not _LITTLE < behind <= beforehand // 2,
             f"{behind} of {beforehand} pages were not caught up with")
    _require((rounds > 0) == (beforehand > sum(first)), f"{rounds} rounds: {first}, {beforehand}")
    copied = report["pages_by_copy"]
    _require(copied > 0 or behind < _COPIED, f"no copies, of {behind} pages: {report}")
    return (f"{sum(first)} pages written beforehand, {beforehand - sum(first)} in {rounds} rounds, "
            f"{copied} by copy, {report['pages_written']} in all")


def _number(log, pattern):
    found = re.search(pattern, log)
    _require(found, f"dump.log does not say: {pattern}")
    return int(found.group(1))


def _require(condition, what):
    if not condition:
        raise dumpers.DumpFailure(what)
