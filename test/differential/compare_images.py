"""Compares two image directories of one task field by field; run by a python that has pycriu.

  compare_images.py [--holding-registers] STOCK OURS

With --holding-registers, every thread but the leader holds its registers from one dump to the other,
and they are compared too. Prints every field that differs and is not in TOLERATED; exit status 1 if there is one.
"""

import os
import re
import struct
import sys

import pycriu.images

# Paths as this program prints them, with list places left out, and why they may differ. A pattern
# holds for the whole path.
TOLERATED = [
    (r"inventory\.dump_criu_run_id", "each dump has one of its own"),
    (r"core-.*\.gpregs\.(?!.*_base|[cdefgs]s$).*", "a thread stands now here, now there in its wait"),
    (r"core-.*\.fpregs\..*", "scratch registers of that wait; registers have targets of their own"),
    (r"core-.*\.timers\..*\.v(sec|usec|nsec)", "time went on between the two dumps"),
    (r"fdinfo-.*\.tfd\.(vsec|vnsec|ticks)", "timers went on, and periodic ones expired"),
    (r"timens-0\..*", "the clocks as the dump read them"),
    (r"(ids-\d+|inventory)\..*_ns_id", "numbered by each dumper"),
    (r"inventory\..*\.(files_id|fs_id|vm_id|sighand_id)", "numbered by each dumper"),
    (r"tcp-stream-.*\.timestamp", "a clock"),
    (r"fdinfo-.*\.(isk|nlsk|psk)\.ns_id", "numbered by each dumper"),
    (r"mm-.*\.shmid", "numbered by each dumper; files are compared where they are referred to"),
]
_TOLERATED = [re.compile(pattern) for pattern, _ in TOLERATED]

# Of a thread that holds its registers. It spins: one of two instructions is next.
_TOLERATED_OF_HELD = [re.compile(r"core-.*\.gpregs\.ip")]
_REGISTERS = re.compile(r"(core-\d+)\.thread_info\.(gpregs|fpregs)\..*")

MAP_PRIVATE = 2
VMA_FILE = 1 << 6 | 1 << 7  # private and shared
MADV_WIPEONFORK_BIT = 1 << 18
SECCOMP_TSYNC = 1
REMAP_LINKED = 0
REMAP_GHOST = 1
PTY = 1  # a TtyType
PTMX = 5 << 8 | 2  # the device number of masters
PAGE = 4096
# Flags of a run of pages.
PARENT, PRESENT = 1, 4
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
    normalise_seccomp(images, is_stock)
    for process in processes(images):
        if is_stock and "personality" in process:
            # Stock reads the hexadecimal digits of procfs as decimal ones.
            process["personality"] = int(str(process["personality"]), 16)
    for name, entries in images.items():
        if not name.startswith("core-"):
            continue
        # Stock notes it wherever the processor has shadow stacks; without one in use it is all 0.
        xsave = entries[0].get("thread_info", {}).get("fpregs", {}).get("xsave", {})
        if xsave.get("cet") in ({"cet": 0, "ssp": 0}, [{"cet": 0, "ssp": 0}]):
            del xsave["cet"]
        if "xstate_bv" in xsave:
            xsave["xstate_bv"] &= ~initial_components(entries[0]["thread_info"]["fpregs"])
        # Nor does it leave out the bounds of a processor that has them where the kernel does not.
        if not any(xsave.get("bndcsr_state", [])):
            xsave.pop("bndcsr_state", None)
    for _, mm in of_tasks(images, "mm"):
        auxv = mm.get("mm_saved_auxv", [])
        # Stock has room for 44 words: the pair of zeros at the end of a vector that is no longer.
        if is_stock and auxv[-2:] == [0, 0]:
            del auxv[-2:]
        for vma in mm["vmas"]:
            if vma["flags"] & MAP_PRIVATE:
                # A private mapping needs no writable descriptor, whatever its file was opened with.
                vma["fdflags"] = 0
            # Stock forgets MADV_WIPEONFORK.
            vma["madv"] = vma.get("madv", 0) & ~MADV_WIPEONFORK_BIT
    normalise_tree(images, is_stock)
    normalise_objects(images)
    for cgroups in images.get("cgroup", []):
        cgroups["controllers"].sort(key=lambda controller: controller["cnames"])
        for controller in cgroups["controllers"]:
            sort_directories(controller)
    normalise_terminals(images)
    resolve_files(images)


def initial_components(fpregs):
    """Bits of the XSAVE components that are in their initial state: a processor says of those as it
    likes that they are in use, or are not (Intel SDM, "Processor Tracking of XSAVE-Managed State").
    """
    x87 = {"cwd": 0x37F, "swd": 0, "twd": 0, "fop": 0, "rip": 0, "rdp": 0}
    is_initial = {
        0: all(fpregs[field] == value for field, value in x87.items())
        and not any(fpregs["st_space"]),
        1: not any(fpregs["xmm_space"]),
        2: not any(fpregs["xsave"].get("ymmh_space", [])),
        5: not any(fpregs["xsave"].get("opmask_reg", [])),
        6: not any(fpregs["xsave"].get("zmm_upper", [])),
        7: not any(fpregs["xsave"].get("hi16_zmm", [])),
        9: not any(fpregs["xsave"].get("pkru", [])),
    }
    return sum(1 << bit for bit, initial in is_initial.items() if initial)


def sort_directories(parent):
    """The kernel lists the cgroups below another in any order."""
    for key in ("dirs", "children"):
        parent.get(key, []).sort(key=lambda directory: directory["dir_name"])
        for directory in parent.get(key, []):
            sort_directories(directory)


def processes(images):
    return [entries[0]["tc"] for name, entries in images.items()
            if name.startswith("core-") and "tc" in entries[0]]


def of_tasks(images, kind):
    """The entries of images that each task has one of, with the task's pid; by pid."""
    found = [(int(name[len(kind) + 1:]), entries[0]) for name, entries in images.items()
             if re.fullmatch(rf"{kind}-\d+", name)]
    return sorted(found, key=lambda pair: pair[0])


def normalise_seccomp(images, is_stock):
    filters = images.pop("seccomp", [{}])[0].get("seccomp_filters", [])
    leader_of = {tid: task["pid"] for task in images["pstree"] for tid in task["threads"]}
    cores = dict(of_tasks(images, "core"))
    eldest_of = {tid: core["thread_core"].get("seccomp_filter")
                 for tid, core in cores.items() if "thread_core" in core}
    # Filters that threads share stand once in ours and once a thread in stock's.
    for tid, core in cores.items():
        process = core.get("tc", {})
        for key in ("old_seccomp_mode", "seccomp_filter"):
            process.pop(key, None)
        if "thread_core" not in core:  # a zombie
            continue
        thread = core["thread_core"]
        eldest = thread.pop("seccomp_filter", None)
        of_leader = eldest_of.get(leader_of[tid])
        for_all = of_leader is not None and filters[of_leader].get("flags", 0) & SECCOMP_TSYNC
        if is_stock and eldest is None and for_all:
            # Stock writes a chain that all threads have with the leader alone.
            eldest = of_leader
        thread["seccomp_filters"] = filter_chain(filters, eldest)
        # Stock writes the mode with the process where all threads have it.
        thread.pop("seccomp_mode", None)


def normalise_tree(images, is_stock):
    """The order of tasks is free, but for parents, who come before their children."""
    seen = {0}
    for task in images["pstree"]:
        if task["ppid"] not in seen:
            print(f"task {task['pid']} comes before its parent")
            images["disorder"] = [{"pid": task["pid"]}]
        seen.add(task["pid"])
        if is_stock and f"ids-{task['pid']}" not in images:
            # A zombie's thread has no sense in stock's.
            task["threads"] = [task["pid"]]
    images["pstree"].sort(key=lambda task: task["pid"])
    images.get("filelocks", []).sort(key=lambda lock: (lock["pid"], lock["fd"], lock["start"]))
    # Of one socket they are in its order.
    images.get("sk-queues", []).sort(key=lambda packet: packet["id_for"])
    for kind in ("pipes-data", "fifo-data"):
        if kind in images:
            images[kind].sort(key=lambda pipe: pipe["pipe_id"])


def normalise_objects(images):
    """Numbers what tasks share by the first task that has it, which is all that numbers say."""
    for key in ("vm_id", "files_id", "fs_id", "sighand_id"):
        owners = {}
        for pid, ids in of_tasks(images, "ids"):
            number = ids[key]
            ids[key] = owners.setdefault(number, pid)
        if key == "files_id":
            tables = {number: images.pop(f"fdinfo-{number}", []) for number in owners}
            for number, pid in owners.items():
                images[f"fdinfo-of-{pid}"] = tables[number]


def normalise_terminals(images):
    """Puts what is known of terminals where files refer to it, and their keys as a restore has them."""
    infos = {info.pop("id"): info for info in images.pop("tty-info", [])}
    for info in infos.values():
        if info["type"] == PTY and info["rdev"] != PTMX:
            # Whom a slave controls stock asks of one process, at times one that is not told.
            info.pop("sid"), info.pop("pgrp")
        for settings in ("termios", "termios_locked"):
            if settings in info:
                words = info[settings]["c_cc"]
                info[settings]["c_cc"] = list(struct.pack(f"<{len(words)}I", *words)[: len(words)])
    for file in images["files"]:
        if "tty" in file:
            file["tty"]["info"] = infos[file["tty"].pop("tty_info_id")]


def resolve_files(images):
    """Puts files where they are referred to. What descriptors share is numbered as they come."""
    files = {file.pop("id"): file for file in images.pop("files")}
    memfds = {memfd.pop("inode_id"): memfd for memfd in images.get("memfd", [])}
    images.get("memfd", []).sort(key=lambda memfd: memfd["shmid"])
    attach_ghosts(images, files)
    referred = set()
    order = {}

    def file_of(number, with_flags=True):
        referred.add(number)
        file = {key: dict(value) if isinstance(value, dict) else value
                for key, value in files[number].items()}
        for value in file.values():
            if isinstance(value, dict):
                value.pop("id", None)
                if "regf_id" in value:
                    value["regf"] = file_of(value.pop("regf_id"))
                if "inode_id" in value:
                    value["memfd"] = memfds[value.pop("inode_id")]
                if not with_flags:
                    # A file that is only mapped is opened with its mapping's flags.
                    value.pop("flags", None)
        return file

    for name in sorted((n for n in images if n.startswith("fdinfo-of-")),
                       key=lambda n: int(n.rpartition("-")[2])):
        images[name].sort(key=lambda fd: fd["fd"])
        for fd in images[name]:
            fd["open_file"] = order.setdefault(fd["id"], len(order))
            fd["file"] = file_of(fd.pop("id"))
    for _, mm in of_tasks(images, "mm"):
        mm["exe"] = file_of(mm.pop("exe_file_id"), with_flags=False)
        for vma in mm["vmas"]:
            if vma["status"] & VMA_FILE:
                vma["file"] = file_of(vma["shmid"], with_flags=False)
    for _, fs in of_tasks(images, "fs"):
        fs["cwd"] = file_of(fs.pop("cwd_id"), with_flags=False)
        fs["root"] = file_of(fs.pop("root_id"), with_flags=False)
    unused = sorted(files.keys() - referred)
    if unused:
        images["unused-files"] = [files[number] for number in unused]


def attach_ghosts(images, files):
    """Puts what was saved of a deleted file where the file is told."""
    ghosts = {int(name[len("ghost-file-"):], 16): images.pop(name)
              for name in list(images) if name.startswith("ghost-file-")}
    remaps = images.pop("remap-fpath", [])
    used = set()
    for remap in remaps:
        to = remap["remap_id"]
        if remap["remap_type"] == REMAP_GHOST:
            used.add(to)
            to = ghosts[to]
        if remap["remap_type"] == REMAP_LINKED:
            # A name of it that is made up from its number.
            to = re.sub(r"link_remap\.\d+", "link_remap.N", files.pop(to)["reg"]["name"])
        files[remap["orig_id"]]["remap"] = [remap["remap_type"], to]
    unused = ghosts.keys() - used
    if unused:
        images["unused-ghosts"] = [ghosts[number] for number in sorted(unused)]


def processor_places(core):
    """Addresses in the target where the kernel says on which processor a thread runs."""
    area = core.get("thread_core", {}).get("rseq_entry", {}).get("rseq_abi_pointer", 0)
    return [area + place for place in RSEQ_CPU_PLACES] if area else []


def run_length(run):
    # 4.2 counts in another field than 4.1, which has a name of its own there.
    return run.get("nr_pages") or run["compat_nr_pages"]


def parent_pages(directory, name):
    """Address to contents, of all pages that the parent images have of a task."""
    path = os.path.join(directory, "parent", name)
    if not os.path.exists(path):
        return {}
    pages = {}
    with open(path, "rb") as image:
        head, *runs = pycriu.images.load(image, pretty=False)["entries"]
    with open(os.path.join(directory, "parent", f"pages-{head['pages_id']}.img"), "rb") as image:
        for run in runs:
            for page in range(run_length(run)):
                pages[run["vaddr"] + page * PAGE] = image.read(PAGE)
    return pages


def load_pages(directory, images):
    """Task and address to contents, of every page that was saved and is not all zeros; the pages
    of shared memory by object and offset.

    Threads go from one processor to another between the dumps: where they ran reads as zero.
    """
    pages = {}
    threads_of = {task["pid"]: task["threads"] for task in images["pstree"]}
    for name in os.listdir(directory):
        if not re.fullmatch(r"pagemap-(shmem-)?\d+\.img", name):
            continue
        pid = name[len("pagemap-"):-len(".img")]
        moving = {}
        for tid in [] if pid.startswith("shmem") else threads_of[int(pid)]:
            for place in processor_places(images[f"core-{tid}"][0]):
                moving.setdefault(place // PAGE * PAGE, []).append(place % PAGE)
        with open(os.path.join(directory, name), "rb") as image:
            head, *runs = pycriu.images.load(image, pretty=False)["entries"]
        inherited = parent_pages(directory, name)
        with open(os.path.join(directory, f"pages-{head['pages_id']}.img"), "rb") as image:
            for run in runs:
                for page in range(run_length(run)):
                    address = run["vaddr"] + page * PAGE
                    in_parent = run.get("flags", PRESENT) & PARENT
                    contents = inherited[address] if in_parent else image.read(PAGE)
                    for offset in moving.get(address, []):
                        contents = contents[:offset] + bytes(4) + contents[offset + 4:]
                    if contents.count(0) != PAGE:
                        pages[pid, address] = contents
            if image.read(1):
                print(f"{name}: more pages than it says")
                pages[pid, -1] = b""
    return pages


def compare_pages(stock, ours):
    """Says which pages differ, of tasks where more do than a waiting one dirties."""
    differing = {}
    for pid, address in sorted(stock.keys() | ours.keys()):
        if stock.get((pid, address)) != ours.get((pid, address)):
            differing.setdefault(pid, []).append(address)
    count = sum(len(addresses) for addresses in differing.values())
    print(f"{len(stock)} pages of stock's compared, {count} differ")
    failures = not stock and not ours
    for pid, addresses in differing.items():
        if not pid.startswith("shmem") and len(addresses) <= PAGES_IN_USE:
            continue
        failures = True
        for address in addresses[:20]:
            print(f"page {address:#x} of {pid}:"
                  f" stock {'has' if (pid, address) in stock else 'lacks'} it,"
                  f" ours {'has' if (pid, address) in ours else 'lacks'} it")
    return failures


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
