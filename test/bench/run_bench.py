#!/usr/bin/python3
"""scripts/bench itself, with one dump of a small process each: that it measures, not what.

  run_bench.py figures|run_on_disk|without_sid|neither BUILD

figures: all are there; of a thread that keeps writing, too. run_on_disk: stock finds nothing that it
has learnt of the kernel, and it is said. without_sid: sid's root of stock criu
cannot be made, or holds nothing: trixie's takes its place, and it is said. neither: nor can trixie's
be made. Exit status: 0 passed, 1 failed, 77 skipped.
"""

import json
import os
import subprocess
import sys
import tempfile

SKIPPED = 77
SCRIPTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../scripts")
sys.path.insert(0, os.path.join(SCRIPTS, "benchmark"))
from measure import COLUMNS, OF_WRITER

WRITER = f"writer:{16 << 20}"


def require(condition, message):
    if not condition:
        sys.exit(f"FAIL: {message}")


def trixie_root():
    found = subprocess.run([os.path.join(SCRIPTS, "stock-criu"), "--root"], stdout=subprocess.PIPE,
                           text=True, check=False)
    if found.returncode != 0:
        print("SKIP: there is no stock criu (scripts/stock-criu)")
        sys.exit(SKIPPED)
    return found.stdout.strip()


def bench(build, *arguments, **environment):
    argv = [os.path.join(SCRIPTS, "bench"), "--rounds", "1", "--build", build, *arguments]
    return subprocess.run(argv, env={**os.environ, **environment}, capture_output=True, text=True,
                          check=False)


def rows_of(result):
    require(result.returncode == 0, f"scripts/bench ended with {result.returncode}: {result.stderr}")
    return {row["name"]: row for row in json.loads(result.stdout)["rows"]}


def expect_figures(row, *others):
    for dumper in ("ours", "stock"):
        for name in (*COLUMNS, "bytes", *others):
            require(row[dumper].get(name, 0) > 0, f"{name} of {dumper}: {row}")
    require(set(row["ratio"]) == set(COLUMNS), f"ratios: {row}")
    require(row["quiet"] > 0, f"quiet: {row}")


def figures(build, _):
    # The one that is there already.
    result = bench(build, "--suite", "trixie", "--json", "tiny", WRITER)
    rows = rows_of(result)
    expect_figures(rows["tiny"])
    require(not set(OF_WRITER) & set(rows["tiny"]["ours"]), "tiny has no thread that writes")
    writer = rows[WRITER]
    expect_figures(writer, "writer gap")
    require(set(OF_WRITER) <= set(writer["ours"]) & set(writer["stock"]), f"a column lacks: {writer}")
    require(writer["quiet writer gap"] > 0, f"quiet: {writer}")
    with open("/proc/self/mountinfo") as mounts:
        known = {line.rpartition(" - ")[2].split()[0] for line in mounts}
    filesystem = json.loads(result.stdout)["filesystem"]
    require(filesystem in known, f"{filesystem} is none of {known}")


def run_on_disk(build, _):
    result = bench(build, "--suite", "trixie", "--json", "--run-on-disk", "tiny")
    expect_figures(rows_of(result)["tiny"])
    where = json.loads(result.stdout)["run"]
    require(where != "tmpfs", "/run is a tmpfs")
    kept = os.path.join(build, "bench-run")
    require(not os.path.exists(os.path.join(kept, "criu.kdat")), "stock has kept what it has learnt")
    result = bench(build, "--suite", "trixie", "--run-on-disk", "tiny")
    require(f"; /run is on {where}; medians" in result.stdout, f"it is not said: {result.stdout}")


def _cache_without_sid(cache, root):
    """As scripts/stock-criu keeps it, and a mmdebstrap that makes nothing."""
    os.symlink(root, os.path.join(cache, os.path.basename(root)))
    path = os.path.join(cache, "mmdebstrap")
    with open(path, "w") as script:
        script.write("#!/bin/sh\nexit 1\n")
    os.chmod(path, 0o755)
    return {"DUMPCTL_CACHE": cache, "PATH": f"{cache}:{os.environ['PATH']}"}


def without_sid(build, root):
    words = "for that of sid does not run here"
    with tempfile.TemporaryDirectory(prefix="dumpctl-bench-") as cache:
        environment = _cache_without_sid(cache, root)
        for empty in (False, True):
            if empty:
                os.mkdir(os.path.join(cache, os.path.basename(root).replace("trixie", "sid")))
            result = bench(build, "--as-found", "tiny", **environment)
            require(result.returncode == 0, f"ended with {result.returncode}: {result.stderr}")
            require(words in result.stdout.splitlines()[0], f"it is not said: {result.stdout}")
            require("\n| one small task | " in result.stdout, f"no table: {result.stdout}")


def neither(build, root):
    with tempfile.TemporaryDirectory(prefix="dumpctl-bench-") as cache:
        environment = _cache_without_sid(cache, root)
        os.remove(os.path.join(cache, os.path.basename(root)))
        result = bench(build, "tiny", **environment)
        require(result.returncode == 1, f"ended with {result.returncode}: {result}")
        last = result.stderr.splitlines()[-1]
        require(last == "scripts/bench: no stock criu runs here, of sid or trixie", result.stderr)


def main():
    how = {function.__name__: function for function in (figures, run_on_disk, without_sid, neither)}[sys.argv[1]]
    if os.geteuid() != 0:
        print("SKIP: only root can dump")
        sys.exit(SKIPPED)
    how(sys.argv[2], trixie_root())


if __name__ == "__main__":
    main()
