"""What a program and its threads have called, by strace."""

import os
import re

from scene import skip_without


def traced(scene, calls, *options):
    """What to put before a command to have its calls traced, and the file that then has them."""
    path = os.path.join(scene.directory, "trace")
    # Sanitizers look for leaks by ptrace, which strace has taken.
    return ("env", "ASAN_OPTIONS=detect_leaks=0", skip_without("strace"), "-f", "-y", "-qq", "-e",
            "signal=none", "-e", f"trace={calls}", *options, "-o", path), path


def begun(path):
    """(thread, call) in the order in which they began; what goes on then ends elsewhere."""
    with open(path, errors="replace") as lines:
        return [tuple(line.rstrip("\n").split(maxsplit=1)) for line in lines]


def ended(path):
    """The calls in the order in which they ended."""
    under_way, whole = {}, []
    for thread, text in begun(path):
        resumed = re.match(r"<\.\.\. \w+ resumed>", text)
        if text.endswith("<unfinished ...>"):
            under_way[thread] = text.removesuffix("<unfinished ...>")
        elif resumed:
            whole.append(under_way.pop(thread) + text[resumed.end():])
        else:
            whole.append(text)
    return whole


def has_failed(call):
    return " = -1 " in call
