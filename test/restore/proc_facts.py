"""What /proc says of a task that a dump which leaves it running must not change."""

import os
import re
import time

# Not SigQ: it counts the signals of the user, whose other processes run beside this test.
_STATUS_FIELDS = (
    "Name Umask Pid PPid TracerPid Uid Gid Groups Threads SigPnd ShdPnd SigBlk SigIgn SigCgt "
    "CapInh CapPrm CapEff CapBnd CapAmb NoNewPrivs Seccomp Seccomp_filters Cpus_allowed_list"
).split()


# Seconds in which what a program has opened for a moment is closed again.
_PATIENCE = 3


def snapshot(pid, maps=True, below=True):
    """A dict of fact name to text, of the whole tree; without `maps` for targets that map and unmap all the time.

    Two in a row that are equal: a virtual machine opens a file now and then, for a moment.
    """
    deadline = time.monotonic() + _PATIENCE
    facts = None
    while time.monotonic() < deadline:
        last, facts = facts, _try_snapshot(pid, maps, below)
        if facts is not None and facts == last:
            return facts
        time.sleep(0.01)
    # It never stands still.
    while facts is None:
        facts = _try_snapshot(pid, maps, below)
    return facts


def _try_snapshot(pid, maps, below):
    """None where something ended while it was looked at, but not the task."""
    try:
        return _snapshot(pid, maps, below)
    except (FileNotFoundError, ProcessLookupError):
        if not os.path.exists(f"/proc/{pid}"):
            raise
        return None


def tree(root):
    """The pids of a process and all below it, parents first, as far as they stay."""
    pids = [root]
    for pid in pids:
        try:
            for tid in os.listdir(f"/proc/{pid}/task"):
                pids += [int(child) for child in _read(f"/proc/{pid}/task/{tid}/children").split()]
        except (FileNotFoundError, ProcessLookupError):
            pass
    return pids


def _snapshot(root, maps, below):
    facts = _snapshot_of(root, maps)
    if not below:
        return facts
    for pid in tree(root)[1:]:
        facts |= {f"{pid}: {name}": text for name, text in _snapshot_of(pid, maps).items()}
    return facts


def _snapshot_of(pid, maps):
    facts = {}
    if maps:
        facts["maps"] = _read(f"/proc/{pid}/maps")
    for fd in sorted(os.listdir(f"/proc/{pid}/fd"), key=int):
        facts[f"fd {fd}"] = os.readlink(f"/proc/{pid}/fd/{fd}")
    for tid in os.listdir(f"/proc/{pid}/task"):
        task = f"/proc/{pid}/task/{tid}"
        facts[f"{tid} children"] = _read(f"{task}/children")
        status = dict(re.findall(r"^(\w+):[ \t]*(.*)$", _read(f"{task}/status"), re.MULTILINE))
        for field in _STATUS_FIELDS:
            facts[f"{tid} {field}"] = status.get(field)  # a zombie has not all of them
        # Running, sleeping and waiting for a disk are one: a thread that waits for its `go` is now
        # this, now that.
        facts[f"{tid} State"] = {"R": "S", "D": "S"}.get(status["State"][0], status["State"][0])
    return facts


def differences(before, after):
    lines = []
    for name in sorted(before.keys() | after.keys()):
        was, is_now = before.get(name), after.get(name)
        if was == is_now:
            continue
        if name.endswith("maps") and was is not None and is_now is not None:
            lines += _changed_lines(name, was, is_now)
        else:
            lines.append(f"{name}: was {was!r}, is {is_now!r}")
    return lines


def _changed_lines(name, was, is_now):
    old, new = was.splitlines(), is_now.splitlines()
    return [f"{name}: gone {line}" for line in old if line not in new] + [
        f"{name}: new {line}" for line in new if line not in old
    ]


def state_of(task):
    """The letter of a task, by its pid or the rest of a path in /proc; '' where there is none."""
    try:
        with open(f"/proc/{task}/stat", "rb") as stat:
            return stat.read().rpartition(b") ")[2][:1].decode()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _read(path):
    with open(path, errors="surrogateescape") as file:
        return file.read()
