"""What --trace tells of a dump, also of one that fails; how it is drawn (scripts/trace-picture); and
where it cannot be written."""

import json
import os
import sys
import xml.etree.ElementTree

from registry import Skipped, case, case_each
from scene import require
from write_tracking import watches_writes

READING = ["freeze", "collect", "ask", "holdings", "share", "lock", "memory", "ghosts", "flags",
           "close"]
BETWEEN = ("images", "wait")
TRACE_PICTURE = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                             "../../scripts/trace-picture")
SVG = "{http://www.w3.org/2000/svg}"


def _trace(path):
    with open(path) as file:
        return json.load(file)


def _spans(trace, **wanted):
    """Those of some category, name or pid, as (name, begin, end, whole event), by their beginning."""
    found = []
    for event in trace["traceEvents"]:
        if event["ph"] != "X" or any(event[key] != value for key, value in wanted.items()):
            continue
        found.append((event["name"], event["ts"], event["ts"] + event["dur"], event))
    return sorted(found, key=lambda span: span[1])


def _expect_nesting(trace):
    """On one track spans lie in or beside each other: what else is not to be drawn."""
    for track in {(e["pid"], e["tid"]) for e in trace["traceEvents"]}:
        spans = _spans(trace, pid=track[0], tid=track[1])
        spans.sort(key=lambda span: (span[1], -span[2]))
        open_ends = []
        for name, begin, end, _ in spans:
            while open_ends and open_ends[-1] <= begin + 0.001:
                open_ends.pop()
            require(not open_ends or end <= open_ends[-1] + 0.002, f"{name} crosses what it is in")
            open_ends.append(end)


def _expect_within(inner, outer):
    require(outer[1] <= inner[1] and inner[2] <= outer[2] + 0.002, f"{inner} is not in {outer}")


def _frozen(trace, witness):
    frozen = _spans(trace, cat="frozen")
    require(len(frozen) == 1, f"not one freeze: {frozen}")
    require(frozen[0][3]["pid"] == witness.pid, f"of whom is {frozen}?")
    return frozen[0]


def _picture(scene, path, *width):
    """(how many boxes, the words) of the trace, drawn."""
    drawn = scene.run(sys.executable, TRACE_PICTURE, path, *width)
    scene.expect_success(drawn)
    root = xml.etree.ElementTree.fromstring(drawn.out)
    require(root.tag == SVG + "svg", f"a picture of {root.tag}")
    # One is what all is drawn on.
    return len(root.findall(SVG + "rect")) - 1, {text.text for text in root.findall(SVG + "text")}


def _expect_drawn(scene, path, trace):
    boxes, words = _picture(scene, path)
    require(boxes > 0 and "phases" in words, f"{boxes} boxes and {words}")
    # So wide that there is room for every span, and all that it says.
    boxes, words = _picture(scene, path, str(10**10))
    spans = _spans(trace)
    require(boxes == len(spans), f"{boxes} boxes of {len(spans)} spans")
    drawn = {text.split(" (")[0] for text in words}
    missing = {span[0] for span in spans} - drawn
    require(not missing, f"{missing} are not among {drawn}")


def _dump(scene, witness, *options, **arguments):
    # Relative to the work directory, as logs are.
    work = scene.make_directory("work")
    result = scene.dump(witness.pid, "-W", work, "--trace", "trace.json", *options, **arguments)
    names = set(os.listdir(work)) - {"stats-dump"}
    require(names <= {"trace.json"}, f"{names} are in the work directory")
    return result, os.path.join(work, "trace.json")


def _written(trace):
    """(from, to, descriptor), by their beginning, of all that is written of memory. Who writes
    itself does so before it is waited for."""
    spans = _spans(trace, cat="pages", name="write") + _spans(trace, name="write itself")
    return sorted((begin - event["args"].get("begun_before_us", 0), end, event["args"]["fd"])
                  for _, begin, end, event in spans)


def _expect_one_writer_of_each_file(trace):
    """The kernel lets one alone into its pages; the others would wait with a processor each."""
    until = {}
    for begin, end, file in _written(trace):
        # The beginning of who writes itself is known to the microsecond.
        require(until.get(file, 0) <= begin + 1.002, f"two write {file} at {begin}")
        until[file] = end
    require(until, "nothing was written")


def _write_beside_each_other(trace):
    """Whether two files are written at the same time."""
    written = _written(trace)
    return any(second[0] < first[1] and second[2] != first[2]
               for i, first in enumerate(written) for second in written[i + 1:])


@case
def trace_of_a_dump_that_lets_go_on(scene):
    witness = scene.witness("busy")
    result, path = _dump(scene, witness, "-R")
    scene.expect_success(result)
    trace = _trace(path)
    require(trace["otherData"] == {"outcome": "ok", "dropped": 0}, trace["otherData"])
    _expect_nesting(trace)
    frozen = _frozen(trace, witness)
    phases = _spans(trace, cat="phase")
    names = [span[0] for span in phases]
    # Those of the freeze in their order, and all that need not be in it outside.
    inside = [span[0] for span in phases if frozen[1] <= span[1] < frozen[2]]
    require([name for name in inside if name not in BETWEEN] == READING + ["resume"], inside)
    for name in ("preflight", "serialise", "commit", "finish"):
        require(names.count(name) == 1 and name not in inside, f"{name} in {names}, {inside}")
    for phase in phases:
        if phase[0] in READING:
            _expect_within(phase, frozen)
    for kind, name, phase in (("task", "facts", "collect"), ("task", "ask", "ask"),
                              ("task", "mappings", "holdings"), ("task", "pages", "holdings"),
                              ("task", "descriptors", "holdings"), ("task", "memory", "memory"),
                              ("calls", "system calls", "ask"), ("pages", "read", "memory")):
        spans = _spans(trace, cat=kind, name=name)
        require(spans, f"no span of {kind} {name}")
        _expect_within(spans[0], phases[names.index(phase)])
        if kind == "task":
            require(spans[0][3]["args"]["pid"] == witness.pid, spans[0])
    require(_spans(trace, cat="calls", name="system calls")[0][3]["args"]["calls"] > 1, "no calls")
    writes = _spans(trace, cat="pages", name="write")
    require(writes and writes[0][1] >= frozen[2], f"{writes} in the freeze {frozen}")
    for name in ("open sinks", "open a sink in parent"):
        for opened in _spans(trace, name=name):
            require(opened[2] <= frozen[1], f"{opened} in the freeze {frozen}")
    require(_spans(trace, name="open sinks"), "no file was made for pages")
    # One that would take longer to be started than all that it is to do.
    require(_spans(trace, cat="thread") == [], "threads for a small process")
    _expect_drawn(scene, path, trace)
    witness.expect_unharmed()


@case_each(("busy", "poll.tree_shared"))
def trace_of_a_dump_by_copies(scene, shape):
    """Pages are looked for in the copy, but where processes may share some: while all stand."""
    witness = scene.witness(*shape.split("."))
    result, path = _dump(scene, witness, "-R", "--snapshot=cow", "--file-locks")
    scene.expect_success(result)
    trace = _trace(path)
    _expect_nesting(trace)
    alone = shape == "busy"
    require(_spans(trace, cat="task", name="copy"), "nothing was copied")
    scans = _spans(trace, cat="task", name="pages")
    require((len(scans) == 1) == alone, scans)
    where = _spans(trace, cat="phase", name="find" if alone else "holdings")[0]
    require((where[1] >= _frozen(trace, witness)[2]) == alone, f"{where} beside the freeze")
    for scan in scans:
        _expect_within(scan, where)
    require(_spans(trace, cat="stopped"), "nobody stood when copies were waited for")
    _expect_drawn(scene, path, trace)
    witness.expect_unharmed()


@case
def trace_of_a_dump_written_beforehand(scene):
    """Each time that it stands is on its track: before the freeze, too."""
    witness = scene.witness("busy")
    result, path = _dump(scene, witness, "-R", "--snapshot=pre-copy", "--json")
    scene.expect_success(result)
    trace = _trace(path)
    _expect_nesting(trace)
    frozen = _frozen(trace, witness)
    stops = [span for span in _spans(trace, cat="stopped", pid=witness.pid) if span[2] <= frozen[1]]
    report = json.loads(result.out)
    require(report["pages_pre_copied"] > 0, "nothing was written beforehand")
    told = report["stops_beforehand"]
    # One more is that of a writer that has ended.
    require(2 <= told <= len(stops), f"{told} stops, and in the trace {stops}")
    require(report["longest_stop_beforehand_us"] > 0, report)
    for stop in stops:
        require(stop[3]["args"]["pid"] == witness.pid, f"{stop} of whom?")
    phases = _spans(trace, cat="phase")
    known = sum(end - begin for _, begin, end, _ in phases)
    whole = phases[-1][2] - phases[0][1]
    require(known >= 0.9 * whole, f"{known} us of {whole} are those of {phases}")
    _expect_drawn(scene, path, trace)
    witness.expect_unharmed()


@case_each(("cow", "pre-copy", "off", "killed"))
def trace_of_memory_that_is_written_from_within(scene, way):
    """By a copy, or by processes beside it: nothing of it goes through our buffers.

    Where none of them can be had, or it fails, a dump is as right as with them, and tells nothing.
    """
    witness = scene.witness("poll", "large")
    processors = os.sched_getaffinity(0)
    # Who writes in its stead is not to change where it may run.
    os.sched_setaffinity(witness.pid, {max(processors)})
    witness.remember()
    options = () if way == "killed" else ("-R", f"--snapshot={way}")
    result, path = _dump(scene, witness, *options)
    scene.expect_success(result)
    trace = _trace(path)
    memory = 80 << 20
    asked = sum(span[3]["args"]["bytes"] for span in _spans(trace, name="write itself"))
    ours = sum(span[3]["args"]["bytes"] for span in _spans(trace, cat="pages", name="write"))
    require(asked >= 0.9 * memory, f"asked to write {asked} bytes itself")
    require(ours <= 0.1 * memory, f"{ours} bytes of it were written by us, {asked} asked for")
    _expect_one_writer_of_each_file(trace)
    require(_write_beside_each_other(trace) == (len(processors) > 1), _written(trace))
    # What is written to meanwhile may be worth a copy.
    copied = bool(_spans(trace, cat="task", name="copy"))
    require(copied == (way == "cow") or way == "pre-copy", "copied or not?")
    beforehand = _spans(trace, cat="task", name="write beforehand")
    watched = way == "pre-copy" and watches_writes()
    require(watched == bool(beforehand), f"beforehand: {beforehand}")
    # All else is for when it stands, unless a copy has its memory.
    frozen = _frozen(trace, witness)
    for span in _spans(trace, name="write itself"):
        stands = frozen[1] <= span[1] < frozen[2]
        require(stands == (way in ("off", "killed")), f"{span} beside the freeze {frozen}")
    scene.expect_whole_dump()
    if way == "killed":
        witness.expect_gone()
    else:
        witness.expect_unharmed()


@case
def trace_of_a_pre_dump(scene):
    witness = scene.witness("busy")
    path = os.path.join(scene.directory, "trace.json")
    result = scene.run(scene.dumpctl, "pre-dump", "-t", str(witness.pid), "-D", scene.images,
                       "--trace", path)
    if result.code == 17:
        raise Skipped("this kernel does not track what is written")
    scene.expect_success(result)
    trace = _trace(path)
    _expect_nesting(trace)
    frozen = _frozen(trace, witness)
    phases = _spans(trace, cat="phase")
    inside = [span[0] for span in phases if frozen[1] <= span[1] < frozen[2]]
    require(inside == ["freeze", "track", "holdings", "resume"], inside)
    after = [span[0] for span in phases if span[1] >= frozen[2]]
    require(after == ["memory", "serialise", "commit", "finish"], after)
    require(_spans(trace, cat="task", name="pages")[0][3]["args"]["pid"] == witness.pid, "of whom?")
    require(_spans(trace, cat="pages", name="read"), "nothing was read")


@case
def trace_of_a_tree_that_shares_pages(scene):
    witness = scene.witness("poll", "tree_shared")
    result, path = _dump(scene, witness, "-R", "--file-locks")
    scene.expect_success(result)
    trace = _trace(path)
    _expect_nesting(trace)
    shares = _spans(trace, cat="phase", name="share")
    require(len(shares) == 1, f"looked for them {shares}")
    _expect_within(shares[0], _frozen(trace, witness))
    witness.expect_unharmed()


@case
def trace_of_work_beside_the_dump(scene):
    witness = scene.witness("poll", "many")
    result, path = _dump(scene, witness, "-R")
    scene.expect_success(result)
    trace = _trace(path)
    _expect_nesting(trace)
    frozen = _frozen(trace, witness)
    phases = _spans(trace, cat="phase")
    helper = _spans(trace, cat="thread", name="helper")
    flags = _spans(trace, cat="task", name="read VmFlags")
    require(len(helper) == 1 and helper[0][3]["tid"] != phases[0][3]["tid"], f"{helper} beside")
    require(len(flags) == 1 and flags[0][3]["tid"] == helper[0][3]["tid"], f"{flags} by {helper}")
    _expect_within(flags[0], frozen)
    witness.expect_unharmed()


@case
def trace_of_a_dump_that_kills(scene):
    witness = scene.witness()
    result, path = _dump(scene, witness)
    scene.expect_success(result)
    witness.expect_gone()
    trace = _trace(path)
    frozen = _frozen(trace, witness)
    # It stays frozen until it is dead, when the images stand.
    for name in ("serialise", "commit"):
        _expect_within(_spans(trace, cat="phase", name=name)[0], frozen)


@case_each(("ask", "memory", "serialise"))
def trace_of_a_dump_that_fails(scene, point):
    witness = scene.witness()
    result, path = _dump(scene, witness, "-R", fault=f"{point}=fail")
    scene.expect_failure(result, "Internal", point)
    trace = _trace(path)
    require(trace["otherData"]["outcome"] == f"made to fail at {point}", trace["otherData"])
    _frozen(trace, witness)
    require(_spans(trace, cat="phase")[-1][0] == point, "not its last phase")
    scene.expect_images({})
    witness.expect_unharmed()


@case
def trace_of_nothing(scene):
    """A trace is of a freeze: where there was none, none is left."""
    witness = scene.witness()
    result, path = _dump(scene, witness, "-R", fault="preflight=fail")
    scene.expect_failure(result, "Internal", "preflight")
    require(not os.path.exists(path), "a trace was left")
    witness.expect_unharmed()


@case
def trace_that_cannot_be_written(scene):
    witness = scene.witness()
    os.mkdir(os.path.join(scene.images, "sub"))
    before = set(os.listdir(scene.images))
    for name, words in (("nowhere/trace", ("trace file's directory", "/nowhere", "mkdir")),
                        ("sub", ("trace file", "sub", "no regular file", "--trace")),
                        ("sub/", ("trace file", "no regular file", "--trace"))):
        result = scene.dump(witness.pid, "--trace", name)
        scene.expect_failure(result, "ImagesDir", *words)
        require(set(os.listdir(scene.images)) == before, "something was written")
    witness.expect_unharmed()
