"""The cgroups that a test makes are called as its directory."""

import glob
import os
import time

_PATIENCE = 2  # seconds in which who was killed leaves its cgroup


def remove(directory):
    """Those of all hierarchies, with what is below them. Nobody may be in them."""
    for top in glob.glob(f"/sys/fs/cgroup/*/{os.path.basename(directory)}"):
        for path, _, _ in os.walk(top, topdown=False):
            _remove(path)


def _remove(path):
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            return os.rmdir(path)
        except FileNotFoundError:
            return None
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
