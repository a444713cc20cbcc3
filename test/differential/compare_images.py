"""Compares two image directories of one task field by field; run by a python that has pycriu.

  compare_images.py STOCK OURS

Prints every field that differs and is not in TOLERATED; exit status 1 if there is one.
"""

import os
import re
import sys

import pycriu.images

# Paths as this program prints them, with list places left out, and why they may differ. A pattern
# holds for the whole path.
TOLERATED = [
    (r"stats-.*", "times and counts of the dump itself"),
    (r"inventory\..*", "who dumped, how and when"),
    (r"core-.*\.gpregs\.(?!.*_base|[cdefgs]s$).*", "a thread stands now here, now there in its wait"),
    (r"core-.*\.fpregs\..*", "scratch registers of that wait; registers have targets of their own"),
    (r"timens-0\..*", "the clocks as the dump read them"),
    (r"ids-\d+\..*_ns_id", "numbered by each dumper"),
    (r"core-.*\.timers\..*\.(sec|usec|vsec|vnsec|insec)", "time went on between the two dumps"),
    (r"pagemap-.*", "page runs may be cut differently, and a wait loop writes its stack"),
    (r".*\.(id|files_id|fs_id|mm_id|vm_id|sighand_id|shmid|fown_id)", "numbered by each dumper"),
]
_TOLERATED = [re.compile(pattern) for pattern, _ in TOLERATED]


def load(directory):
    """Image name (without .img) to decoded content, for every image that is a protobuf."""
    images = {}
    for name in sorted(os.listdir(directory)):
        if not name.endswith(".img") or name.startswith("pages-"):
            continue
        with open(os.path.join(directory, name), "rb") as image:
            images[name[: -len(".img")]] = pycriu.images.load(image, pretty=False)["entries"]
    return images


def flatten(prefix, value, found):
    """Leaf path to the list of its values, in order; places in lists are left out of paths."""
    if isinstance(value, dict):
        for key, inner in value.items():
            flatten(f"{prefix}.{key}", inner, found)
    elif isinstance(value, list):
        for inner in value:
            flatten(prefix, inner, found)
    else:
        found.setdefault(prefix, []).append(value)


def main():
    leaves = []
    for directory in sys.argv[1:3]:
        found = {}
        for name, entries in load(directory).items():
            flatten(name, entries, found)
        leaves.append(found)
    stock, ours = leaves
    differences = 0
    for path in sorted(stock.keys() | ours.keys()):
        theirs, got = stock.get(path), ours.get(path)
        if theirs == got or any(pattern.fullmatch(path) for pattern in _TOLERATED):
            continue
        differences += 1
        print(f"{path}: stock {theirs}, ours {got}")
    print(f"{len(stock)} fields of stock's compared, {differences} differ")
    # Nothing decoded would compare equal to anything.
    return 1 if differences or len(stock) < 100 else 0


if __name__ == "__main__":
    sys.exit(main())
