"""Compares two image directories of one task field by field; run by a python that has pycriu.

  compare_images.py [--holding-registers] STOCK OURS

With --holding-registers, every thread but the leader holds its registers from one dump to the other,
and they are compared too. Prints every field that differs and is not in TOLERATED; exit status 1 if there is one.
"""

import os
import re
import sys

import pycriu.images

# Paths as this program prints them, with list places left out, and why they may differ. A pattern
# holds for the whole path.
TOLERATED = [
    (r"inventory\.dump_criu_run_id", "each dump has one of its own"),
    (r"core-.*\.gpregs\.(?!.*_base|[cdefgs]s$).*", "a thread stands now here, now there in its wait"),
    (r"core-.*\.fpregs\..*", "scratch registers of that wait; registers have targets of their own"),
    (r"core-.*\.timers\..*\.v(sec|usec|nsec)", "time went on between the two dumps"),
    (r"files\.tfd\.(vsec|vnsec|ticks)", "timers went on, and periodic ones expired"),
    (r"timens-0\..*", "the clocks as the dump read them"),
    (r"(ids-\d+|inventory)\..*_ns_id", "numbered by each dumper"),
    (r".*\.(id|files_id|fs_id|vm_id|sighand_id|shmid|exe_file_id|cwd_id|root_id|regf_id)",
     "numbered by each dumper"),
]
_TOLERATED = [re.compile(pattern) for pattern, _ in TOLERATED]

# Of a thread that holds its registers. It spins: one of two instructions is next.
_TOLERATED_OF_HELD = [re.compile(r"core-.*\.gpregs\.ip")]
_REGISTERS = re.compile(r"(core-\d+)\.thread_info\.(gpregs|fpregs)\..*")

MAP_PRIVATE = 2
MADV_WIPEONFORK_BIT = 1 << 18
SECCOMP_TSYNC = 1
PAGE = 4096
# The stack the target waits on, and what its wait and stock's own code dirty beside it.
PAGES_IN_USE = 8
# Places in rseq(2)'s area, of 4 bytes each: where the kernel says on which processor a thread runs.
RSEQ_CPU_PLACES = (0, 4, 20, 24)


def load(directory):
    """Image name (without .img) to decoded content, for every image that is a protobuf."""
    images = {}
    for name in sorted(os.listdir(directory)):
        if not name.endswith(".img") or re.match(r"pages-|pagemap-", name):
            continue
        with open(os.path.join(directory, name), "rb") as image:
            images[name[: -len(".img")]] = pycriu.images.load(image, pretty=False)["entries"]
    return images


def filter_chain(filters, eldest):
    """One thread's seccomp filters, in the order in which a restore installs them."""
    chain = []
    while eldest is not None:
        entry = filters[eldest]
        # How a restore installs it: once for all threads, or thread by thread as ours says.
        chain.append((entry["filter"], entry.get("flags", 0) & ~SECCOMP_TSYNC))
        eldest = entry.get("prev")
    return chain


def normalise(images, is_stock):
    """Takes out what is two ways to say the same."""
    filters = images.pop("seccomp", [{}])[0].get("seccomp_filters", [])
    leaders = [entries[0] for name, entries in images.items()
               if name.startswith("core-") and "tc" in entries[0]]
    eldest_of_leader = leaders[0]["thread_core"].get("seccomp_filter")
    for_all = (eldest_of_leader is not None
               and filters[eldest_of_leader].get("flags", 0) & SECCOMP_TSYNC)
    # Filters that threads share stand once in ours and once a thread in stock's.
    for name, entries in images.items():
        if not name.startswith("core-"):
            continue
        core = entries[0]["thread_core"]
        eldest = core.pop("seccomp_filter", None)
        if is_stock and eldest is None and for_all:
            # Stock writes a chain that all threads have with the leader alone.
            eldest = eldest_of_leader
        core["seccomp_filters"] = filter_chain(filters, eldest)
        # Stock writes the mode with the process where all threads have it.
        core.pop("seccomp_mode", None)
        process = entries[0].get("tc", {})
        for key in ("old_seccomp_mode", "seccomp_filter"):
            process.pop(key, None)
        if is_stock and "personality" in process:
            # Stock reads the hexadecimal digits of procfs as decimal ones.
            process["personality"] = int(str(process["personality"]), 16)
    # Stock writes an epoll last where it watches under a number that was closed since.
    images["files"].sort(key=lambda file: file["type"])
    open_ids = {fd["id"] for fd in images.get("fdinfo-2", [])}
    for file in images["files"]:
        # A file that is only mapped is opened with its mapping's flags.
        if "reg" in file and file["id"] not in open_ids:
            file["reg"]["flags"] = 0
    for name, entries in images.items():
        if not name.startswith("mm-"):
            continue
        for vma in entries[0]["vmas"]:
            if vma["flags"] & MAP_PRIVATE:
                # A private mapping needs no writable descriptor, whatever its file was opened with.
                vma["fdflags"] = 0
            # Stock forgets MADV_WIPEONFORK.
            vma["madv"] = vma.get("madv", 0) & ~MADV_WIPEONFORK_BIT


def processor_places(images):
    """Address in the target to the processor a thread ran on."""
    areas = [entries[0]["thread_core"].get("rseq_entry", {}).get("rseq_abi_pointer", 0)
             for name, entries in images.items() if name.startswith("core-")]
    return [area + place for area in areas if area for place in RSEQ_CPU_PLACES]


def load_pages(directory, images):
    """Address to contents, of every page that was saved and is not all zeros.

    Threads go from one processor to another between the dumps: where they ran reads as zero.
    """
    pages = {}
    moving = {}
    for place in processor_places(images):
        moving.setdefault(place // PAGE * PAGE, []).append(place % PAGE)
    for name in os.listdir(directory):
        if not re.fullmatch(r"pagemap-\d+\.img", name):
            continue
        with open(os.path.join(directory, name), "rb") as image:
            head, *runs = pycriu.images.load(image, pretty=False)["entries"]
        with open(os.path.join(directory, f"pages-{head['pages_id']}.img"), "rb") as image:
            for run in runs:
                for page in range(run["nr_pages"]):
                    contents = image.read(PAGE)
                    address = run["vaddr"] + page * PAGE
                    for offset in moving.get(address, []):
                        contents = contents[:offset] + bytes(4) + contents[offset + 4:]
                    if contents.count(0) != PAGE:
                        pages[address] = contents
            if image.read(1):
                print(f"{name}: more pages than it says")
                pages[-1] = b""
    return pages


def compare_pages(stock, ours):
    """Says which pages differ, where more do than a waiting target dirties."""
    differing = [
        address for address in sorted(stock.keys() | ours.keys())
        if stock.get(address) != ours.get(address)
    ]
    print(f"{len(stock)} pages of stock's compared, {len(differing)} differ")
    if len(differing) <= PAGES_IN_USE and (stock or ours):
        return 0
    for address in differing[:20]:
        print(f"page {address:#x}: stock {'has' if address in stock else 'lacks'} it,"
              f" ours {'has' if address in ours else 'lacks'} it")
    return 1


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


def is_tolerated(path, holders):
    registers = _REGISTERS.fullmatch(path)
    held = registers is not None and registers.group(1) in holders
    return any(pattern.fullmatch(path) for pattern in (_TOLERATED_OF_HELD if held else _TOLERATED))


def main():
    *options, stock_directory, our_directory = sys.argv[1:]
    leaves = []
    pages = []
    holders = set()
    for is_stock, directory in ((True, stock_directory), (False, our_directory)):
        found = {}
        images = load(directory)
        pages.append(load_pages(directory, images))
        if options == ["--holding-registers"]:
            holders |= {name for name, entries in images.items()
                        if name.startswith("core-") and "tc" not in entries[0]}
        normalise(images, is_stock)
        for name, entries in images.items():
            flatten(name, entries, found)
        leaves.append(found)
    stock, ours = leaves
    differences = 0
    for path in sorted(stock.keys() | ours.keys()):
        theirs, got = stock.get(path), ours.get(path)
        if theirs == got or is_tolerated(path, holders):
            continue
        differences += 1
        print(f"{path}: stock {theirs}, ours {got}")
    print(f"{len(stock)} fields of stock's compared, {differences} differ")
    held = [path for path in stock if _REGISTERS.fullmatch(path) and path.split(".")[0] in holders]
    if options:
        print(f"{len(held)} of them are registers that {len(holders)} threads hold")
        # Without such a thread all of them would have been passed over.
        differences += len(held) < 20
    differences += compare_pages(*pages)
    # Nothing decoded would compare equal to anything.
    return 1 if differences or len(stock) < 100 else 0


if __name__ == "__main__":
    sys.exit(main())
