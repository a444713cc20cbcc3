#!/usr/bin/python3
"""Runs one real program through a dump by dumpctl and a restore by stock criu.

  run_program.py --dumpctl PROGRAM --mode restore|leave-running|snapshot
                 [--fifo] [--blocked-in CALL] [--without-facts] [--with OPTION]... [--timeout SECONDS]
                 [--written FIELD]... COMMAND...

The command speaks the protocol of test/targets/target.h: it prints "ready", waits, checks itself,
and ends with the line PASS. With --fifo it waits not for the file `go` but for a line from the fifo
of that name; with --blocked-in it is dumped when it sleeps in that system call. In the mode
snapshot it is dumped with --leave-running, killed while it runs on, and restored as it was; the
dump's report must tell more than none for each FIELD.

Exit status: 0 passed, 1 failed (with all logs), 77 skipped, 124 timeout.
"""

import argparse
import os
import re
import shutil
import signal
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../restore"))
import dumper as dumpers
import proc_facts
import sandbox
import target_process

SKIPPED = 77
SETTLING = 20  # seconds: less than the programs wait to be told to go on
CALLS = {"read": {0}, "open": {2, 257}}  # as in <asm/unistd_64.h>


class Program(target_process.Target):
    """A command line, which may have to be fed through a fifo."""

    def __init__(self, reaper, command, work_dir, fifo):
        super().__init__(reaper, command[0], work_dir)
        self._command = command
        self._work = work_dir
        self._fifo = os.path.join(work_dir, "go") if fifo else None
        if fifo:
            os.mkfifo(self._fifo)

    def start(self):
        with open(os.path.join(self._work, "status"), "ab") as status:
            self.pid = self._reaper.start(
                self._command,
                cwd=self._work,
                stdout=status.fileno(),
                env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": "/"},
            )

    def wait_blocked_in(self, calls, deadline):
        while True:
            with open(f"/proc/{self.pid}/syscall") as syscall:
                number = syscall.read().split()[0]
            if self.state() == "S" and number.isdigit() and int(number) in calls:
                return
            if time.monotonic() > deadline:
                raise target_process.TargetFailure(f"it never slept in {calls}, but in {number}")
            time.sleep(0.002)

    def go(self, event):
        if not self._fifo:
            return super().go(event)
        # Without waiting for a reader that a failed restore would never bring.
        deadline = time.monotonic() + 10
        while True:
            try:
                fd = os.open(self._fifo, os.O_WRONLY | os.O_NONBLOCK)
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise target_process.TargetFailure("nobody reads the fifo")
                time.sleep(0.002)
        os.write(fd, event.encode() + b"\n")
        os.close(fd)


def run(options, criu, directory):
    images, work_dir = os.path.join(directory, "images"), os.path.join(directory, "work")
    os.mkdir(images)
    os.mkdir(work_dir)
    deadline = time.monotonic() + options.timeout
    reaper = sandbox.Reaper()
    program = Program(reaper, options.command, work_dir, options.fifo)
    dumper = dumpers.Dumper(reaper, options.dumpctl, criu)
    try:
        program.start()
        reason = program.wait_ready(deadline)
        if reason is not None:
            print(reason)
            return SKIPPED
        if options.blocked_in:
            program.wait_blocked_in(CALLS[options.blocked_in], deadline)
        if options.mode == "restore":
            pids = program.tree()
            dumper.dump(program.pid, images, deadline, options=options.with_options)
            program.wait_gone(pids, deadline)
            dumper.restore(images, deadline, options=options.with_options)
            program.go("restored")
        elif options.mode == "snapshot":
            dump_and_kill(program, dumper, images, deadline, options)
            dumper.restore(images, deadline, options=options.with_options)
            program.go("restored")
        elif options.without_facts:
            dumper.dump(program.pid, images, deadline, leave_running=True,
                        options=options.with_options)
            program.go("resumed")
        else:
            dump_beside(program, dumper, images, deadline, options)
            program.go("resumed")
        program.check_verdict(deadline)
    except dumpers.Untold as reason:
        print(reason)
        return SKIPPED
    except (target_process.TargetFailure, dumpers.DumpFailure) as failure:
        print(f"{failure}\n--- the program printed:\n{program.status()}")
        print(dumpers.log_tails(images))
        return 1
    return 0


def dump_and_kill(program, dumper, images, deadline, options):
    pids = program.tree()
    dumper.dump(program.pid, images, deadline, leave_running=True,
                options=[*options.with_options, "--json"])
    for field in options.written:
        dumpers.expect_while_running(images, field)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    program.wait_gone(pids, deadline)


# java looks at its limits now and then.
_MOMENTARY = re.compile(r"fd \d+: was '/sys/fs/cgroup/.*', is None")


def dump_beside(program, dumper, images, deadline, options):
    # A virtual machine or an interpreter maps and unmaps, opens and closes while it runs on.
    quiet = options.blocked_in is not None
    before = proc_facts.snapshot(program.pid, maps=quiet)
    dumper.dump(program.pid, images, deadline, leave_running=True, options=options.with_options)
    changed = changes(program, before, quiet)
    settled = min(deadline, time.monotonic() + SETTLING)
    while changed and not quiet and time.monotonic() < settled:
        # What it has opened for a moment is gone soon; what the dump has left is not.
        time.sleep(0.1)
        changed = changes(program, before, quiet)
    if changed:
        raise target_process.TargetFailure("the dump changed:\n" + "\n".join(changed))


def changes(program, before, quiet):
    after = proc_facts.snapshot(program.pid, maps=quiet)
    return [
        line
        for line in proc_facts.differences(before, after)
        if quiet or not (any(word in line for word in (" State:", " SigPnd:", " ShdPnd:"))
                         or _MOMENTARY.fullmatch(line))
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dumpctl", required=True, help="dumpctl's path, or stock")
    parser.add_argument("--mode", required=True, choices=["restore", "leave-running", "snapshot"])
    parser.add_argument("--fifo", action="store_true")
    parser.add_argument("--blocked-in", choices=CALLS)
    parser.add_argument("--without-facts", action="store_true",
                        help="they are too many to look at them all from outside")
    parser.add_argument("--with", dest="with_options", action="append", default=[],
                        help="an option of the dump, and of the restore")
    parser.add_argument("--written", action="append", default=[], metavar="FIELD",
                        help="pages that were written while it ran, by the dump's report")
    parser.add_argument("--timeout", type=float, default=60)
    parser.add_argument("--keep", help="leave images and logs in this directory")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    if os.geteuid() != 0:
        print("SKIP: a private pid namespace takes root")
        return SKIPPED
    if not os.access(options.command[0], os.X_OK):
        print(f"SKIP: there is no {options.command[0]}")
        return SKIPPED
    criu = dumpers.stock()
    directory = options.keep or tempfile.mkdtemp(prefix="dumpctl-program-")
    os.makedirs(directory, exist_ok=True)
    try:
        return sandbox.run_inside(lambda: run(options, criu, directory), options.timeout + 5)
    finally:
        if not options.keep:
            shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
