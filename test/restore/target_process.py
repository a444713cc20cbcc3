"""One program of test/targets/, by the protocol that test/targets/target.h gives."""

import os
import time

import proc_facts


class TargetFailure(Exception):
    pass


class Target:
    """A target in its work directory: `status` is what it printed, `go` tells it to check."""

    def __init__(self, reaper, program, work_dir, environment=None):
        self._reaper = reaper
        self._program = program
        self._work_dir = work_dir
        self._environment = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", **(environment or {})}
        self._status_path = os.path.join(work_dir, "status")
        self.pid = None

    def start(self):
        # The target may take another uid, and shall still write here.
        os.chmod(self._work_dir, 0o1777)
        fd = os.open(self._status_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        self.pid = self._reaper.start(
            [self._program], cwd=self._work_dir, stdout=fd, env=self._environment
        )
        os.close(fd)

    def status(self):
        try:
            with open(self._status_path, errors="replace") as status:
                return status.read()
        except FileNotFoundError:
            return ""

    def wait_ready(self, deadline):
        """None once it stands as it shall be dumped, or the reason why it wants to be skipped."""
        while "ready\n" not in self.status():
            code = self._reaper.wait(self.pid, time.monotonic() + 0.002)
            if code == 77:
                return self.status().strip()
            if code is not None:
                raise TargetFailure(f"the target ended with {code} before it was ready")
            if time.monotonic() > deadline:
                raise TargetFailure("the target was not ready in time")
        return None

    def wait_state(self, states, deadline):
        while self.state() not in states:
            if time.monotonic() > deadline:
                raise TargetFailure(f"the target is in state {self.state()}, not in {states}")
            time.sleep(0.002)

    def state(self):
        """The state letter, or '' without such a process."""
        return proc_facts.state_of(self.pid)

    def tree(self):
        """The pids of the target and all below it, the target first."""
        return proc_facts.tree(self.pid)

    def wait_gone(self, pids, deadline):
        """Till all pids are free to be taken again, by a restore."""
        for pid in pids:
            while os.path.exists(f"/proc/{pid}"):
                self._reaper.wait(pid, time.monotonic() + 0.002)
                if time.monotonic() > deadline:
                    raise TargetFailure(f"pid {pid} did not become free")
            self._reaper.forget(pid)

    def move_files(self):
        """Its files lose their names, to others, and the directory that they are in goes, too."""
        kept = self._work_dir + ".kept"
        os.mkdir(kept)
        with os.scandir(self._work_dir) as entries:
            names = [entry.name for entry in entries if not entry.is_dir(follow_symlinks=False)]
        for name in names:
            path = os.path.join(self._work_dir, name)
            os.link(path, os.path.join(kept, name), follow_symlinks=False)
            os.unlink(path)
            with open(path, "w") as other:
                other.write("another file")
        os.rename(self._work_dir, self._work_dir + ".moved")
        os.mkdir(self._work_dir)

    def put_back_files(self):
        os.rmdir(self._work_dir)
        os.rename(self._work_dir + ".moved", self._work_dir)
        for name in os.listdir(self._work_dir + ".kept"):
            os.rename(os.path.join(self._work_dir + ".kept", name),
                      os.path.join(self._work_dir, name))

    def go(self, event):
        """Tells the target to check itself after `event`: "restored" or "resumed"."""
        path = os.path.join(self._work_dir, "go")
        with open(path + ".new", "w") as go:
            go.write(event)
        os.chmod(path + ".new", 0o644)
        os.rename(path + ".new", path)

    def check_verdict(self, deadline):
        code = self._reaper.wait(self.pid, deadline)
        if code is None:
            raise TargetFailure("the target did not end in time")
        if code != 0:
            raise TargetFailure(f"the target ended with {code}")
        if self.status().splitlines()[-1:] != ["PASS"]:
            raise TargetFailure("the target did not say PASS")
