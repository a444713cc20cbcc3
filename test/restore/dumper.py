"""The commands that dump and restore, and where their logs are."""

import json
import os
import subprocess
import time

import kernel_facts
import stalls

_STOCK_CRIU = os.path.join(os.path.dirname(__file__), "../../scripts/stock-criu")


class DumpFailure(Exception):
    pass


class Untold(Exception):
    """What a test is about is not on this machine."""


def stock(tool="criu", suite="trixie"):
    """The path of a tool of stock CRIU's private root: criu, crit, python."""
    command = [_STOCK_CRIU, "--suite", suite, f"--{tool}"]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


class Dumper:
    """Dumps by dumpctl or by criu, whose command lines are alike, and restores by stock criu."""

    def __init__(self, reaper, program, criu):
        self._reaper = reaper
        self._program = criu if program == "stock" else program
        self._criu = criu

    def dump(self, pid, images, deadline, leave_running=False, options=(), meanwhile=None,
             stall=None):
        """Meanwhile() is called when the process runs on and its images are not built yet.
        For a second it stops before the step `stall`."""
        argv = [self._program, "dump", "-t", str(pid), "-D", images, "-v4", "-o", "dump.log"]
        if leave_running:
            argv.append("-R")
        if meanwhile is None:
            environment = {**os.environ, "DUMPCTL_FAULT": f"{stall}=stall" if stall else ""}
            self._run(argv + list(options), images, deadline, env=environment)
            return
        log = os.path.join(images, "dump.log")
        stall = stalls.Stall(f"{images}.stalled", "serialise")

        def once_released():
            while not stall.is_reached():
                if time.monotonic() > deadline:
                    raise DumpFailure("the process was not released")
                time.sleep(0.01)
            with stall:
                if not _says(log, "Released after") or _says(log, "Wrote "):
                    raise DumpFailure("the images were built too early")
                meanwhile()

        environment = {**os.environ, "DUMPCTL_FAULT": stall.fault}
        self._run(argv + list(options), images, deadline, once_released, env=environment)

    def restore(self, images, deadline, options=()):
        argv = [self._criu, "restore", "-d", "-D", images, "-v4", "-o", "restore.log"]
        self._run(argv + list(options), images, deadline)

    def _run(self, argv, images, deadline, meanwhile=None, **arguments):
        if argv[0] == self._criu:
            kernel_facts.take_over(self._criu)
        with open(os.path.join(images, f"{argv[1]}.out"), "wb") as out:
            pid = self._reaper.start(argv, stdout=out.fileno(), **arguments)
        if meanwhile:
            meanwhile()
        code = self._reaper.wait(pid, deadline)
        if code is None:
            raise DumpFailure(f"{' '.join(argv)}: did not end in time")
        if code != 0:
            raise DumpFailure(f"{' '.join(argv)}: ended with {code}")
        if argv[0] == self._criu:
            kernel_facts.keep(self._criu)


def _says(log, words):
    try:
        with open(log, errors="replace") as text:
            return words in text.read()
    except FileNotFoundError:
        return False


def report_while_running(images):
    """The report of a dump with --json."""
    if _says(os.path.join(images, "dump.log"), "this kernel does not track writes"):
        raise Untold("this kernel does not track writes")
    with open(os.path.join(images, "dump.out"), errors="replace") as out:
        text = out.read()
    # Who unpacks an archive prints a line behind it.
    return json.JSONDecoder().raw_decode(text, text.index("{"))[0]


def expect_while_running(images, field):
    """`field`: of that report, pages that it wrote while the process ran."""
    if report_while_running(images)[field] == 0:
        raise DumpFailure(f"nothing was written while it ran: no {field}")


def log_tails(images, lines=40):
    """The ends of all logs of a dump, as one text."""
    text = ""
    for name in ("dump.out", "dump.log", "server.out", "restore.out", "restore.log"):
        path = os.path.join(images, name)
        if not os.path.exists(path):
            continue
        with open(path, errors="replace") as log:
            content = log.read().splitlines()
        text += f"--- {name}, {len(content)} lines, the last:\n"
        # An error may stand far above the clean-up that follows it.
        errors = [line for line in content[:-lines] if "Error" in line or "rror:" in line]
        text += "\n".join(errors + content[-lines:]) + "\n"
    return text
