#!/usr/bin/python3
"""Holds `dumpctl show --json` against crit, image by image, on what stock criu wrote of live
processes and on images made by hand of what those hold none of.

  show_matches_crit.py DUMPCTL STOCK_CRIU_SCRIPT
"""

import json
import os
import subprocess
import sys
import tempfile

DUMPCTL, STOCK_CRIU = sys.argv[1:]

# criu 4.2 renamed this field: our schema has its name, trixie's crit the earlier one.
RENAMED = {"compat_nr_pages": "nr_pages"}

BASH = ["/bin/bash", "-c", "name=value; exec 5< /etc/passwd; read line <&5; echo ready; read answer"]

# Threads, a timer, a pipe and a socket with bytes in them, a ghost file, a memfd, shared memory, an
# epoll and a child: most kinds of images there are.
PYTHON = ["/usr/bin/python3", "-c", """
import mmap, os, select, signal, socket, sys, tempfile, threading, time
r, w = os.pipe(); os.write(w, bytes(range(256)))
a, b = socket.socketpair(); a.send(b'queued')
u = socket.socket(socket.AF_UNIX); u.bind('\\0dumpctl-show-%d' % os.getpid()); u.listen()
ghost = tempfile.TemporaryFile(); ghost.write(b'ghost ' * 1000); ghost.flush()
memfd = os.memfd_create('m'); os.write(memfd, b'abc')
shared = mmap.mmap(-1, 8192); shared[0:3] = b'abc'
poll = select.epoll(); poll.register(r)
signal.signal(signal.SIGUSR1, lambda *_: None)
signal.setitimer(signal.ITIMER_REAL, 1000, 3)
if os.fork() == 0:
    time.sleep(1000)
for _ in range(3):
    threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
print('ready', flush=True)
time.sleep(1000)
"""]


def stock(what):
    done = subprocess.run([STOCK_CRIU, what], check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout.strip()


def renamed(value):
    if isinstance(value, dict):
        return {RENAMED.get(key, key): renamed(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [renamed(inner) for inner in value]
    return value


def dump(criu, argv, directory):
    """Lets stock criu dump a program, once it says that it is ready, and ends it."""
    # Its own session, and no terminal: it is no job of a shell.
    program = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, start_new_session=True, text=True)
    try:
        if program.stdout.readline() != "ready\n":
            raise SystemExit("FAIL: %s did not start" % argv[0])
        # Where hardware breakpoints never fire (some virtual machines), criu waits for one for ever;
        # fault 130 has it do without.
        environment = {"CRIU_FAULT": "130", **os.environ}
        done = subprocess.run([criu, "dump", "-t", str(program.pid), "-D", directory, "-R", "-v4",
                               "-o", "dump.log"], env=environment, timeout=60)
        if done.returncode != 0:
            with open(os.path.join(directory, "dump.log"), errors="replace") as log:
                raise SystemExit("FAIL: stock criu did not dump %s:\n%s"
                                 % (argv[0], "".join(line for line in log if "Error" in line)))
    finally:
        end(program)


def end(program):
    with open("/proc/%d/task/%d/children" % (program.pid, program.pid)) as children:
        for child in children.read().split():
            os.kill(int(child), 9)
    program.kill()
    program.wait()
    program.stdin.close()
    program.stdout.close()


def make_by_hand(python, directory):
    """Images with payloads and texts that no dump of an ordinary program has."""
    subprocess.run([python, "-c", BY_HAND, directory], check=True)


BY_HAND = """
import os, struct, sys
from pycriu.images import bpfmap_data_pb2, fdinfo_pb2, ghost_file_pb2, ipc_desc_pb2, ipc_msg_pb2
from pycriu.images import pipe_data_pb2
from pycriu.images import tcp_stream_pb2, tty_pb2

def write(name, magic, entries):
    with open(os.path.join(sys.argv[1], name), 'wb') as image:
        image.write(struct.pack('<II', 0x54564319, magic))
        for message, payload in entries:
            body = message.SerializeToString()
            image.write(struct.pack('<I', len(body)) + body + payload)

def unix_socket(name):
    entry = fdinfo_pb2.file_entry(type=fdinfo_pb2.UNIXSK, id=1)
    socket = entry.usk
    for field in 'id ino type state flags uflags backlog peer'.split():
        setattr(socket, field, 1)
    for field in 'uid euid signum pid_type pid'.split():
        setattr(socket.fown, field, 0)
    for field in ('so_sndbuf so_rcvbuf so_snd_tmo_sec so_snd_tmo_usec so_rcv_tmo_sec '
                  'so_rcv_tmo_usec').split():
        setattr(socket.opts, field, 7)
    socket.name = name
    return entry, b''

names = [b'', b'/plain', bytes(range(256)), b'a' * 200, b'trail ', b'tab\\t', b'x=y', b'.', b'.a',
         b'\\nx \\ny\\t\\n', b'a\\r\\nb\\r', b'c \\r\\nd', b'\\xe4' * 60, b'.\\n.\\0', b'\\0\\0',
         b' ' * 80, b'a' * 75 + b'\\xe4', b'a' * 73 + b'\\xe4', b'a' * 74 + b' ', b'a' * 75 + b'\\nb',
         b'a' * 75 + b' \\nb', b'a' * 72 + b'\\xe4\\n', b'a' * 76]
write('files.img', 0x56303138, [unix_socket(name) for name in names])
chunks = ghost_file_pb2.ghost_file_entry(uid=1, gid=2, mode=3, chunks=True, size=1000)
write('ghost-file-1.img', 0x52583605,
      [(chunks, b''), (ghost_file_pb2.ghost_chunk_entry(len=5, off=0), b'abcde'),
       (ghost_file_pb2.ghost_chunk_entry(len=3, off=900), b'xyz')])
write('ghost-file-2.img', 0x52583605,
      [(ghost_file_pb2.ghost_file_entry(uid=1, gid=2, mode=3), b'')])
write('pipes-data.img', 0x56453709, [(pipe_data_pb2.pipe_data_entry(pipe_id=1, bytes=n), bytes(n))
                                     for n in (0, 1, 56, 57, 58, 114, 5000)])
stream = tcp_stream_pb2.tcp_stream_entry(inq_len=3, inq_seq=1, outq_len=2, outq_seq=4, opt_mask=1,
                                         snd_wscale=7, mss_clamp=1460)
write('tcp-stream-a.img', 0x51465506, [(stream, b'abcde')])
write('bpfmap-data.img', 0x64324033,
      [(bpfmap_data_pb2.bpfmap_data_entry(map_id=1, keys_bytes=4, values_bytes=8, count=1),
        b'kkkkvvvvvvvv')])
write('tty-data.img', 0x59413026, [(tty_pb2.tty_data_entry(tty_id=1, data=b'a\\0\\xff'), b'')])
about = ipc_desc_pb2.ipc_desc_entry(key=1, uid=2, gid=3, cuid=4, cgid=5, mode=6, id=7)
write('ipcns-msg-10.img', 0x55453737,
      [(ipc_msg_pb2.ipc_msg_entry(desc=about, qbytes=9, qnum=2), b''),
       (ipc_msg_pb2.ipc_msg(mtype=1 << 40, msize=5), b'hello' + bytes(3)),
       (ipc_msg_pb2.ipc_msg(mtype=1, msize=0), b''),
       (ipc_msg_pb2.ipc_msg_entry(desc=about, qbytes=9, qnum=0), b'')])
write('seccomp.img', 0x64413049, [])
"""


def images(directory):
    return sorted(name for name in os.listdir(directory)
                  if name == "stats-dump" or name.endswith(".img"))


def show(path):
    done = subprocess.run([DUMPCTL, "show", "--json", path], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise SystemExit("FAIL: show of %s: %s" % (path, done.stderr.strip()))
    return renamed(json.loads(done.stdout))


# crit takes one image, and much longer to start than to decode it.
DECODE = """
import contextlib, io, json, sys
from crit.__main__ import main
paths = sys.argv[1:]
for path in paths:
    sys.argv = ['crit', 'decode', '-i', path]
    with contextlib.redirect_stdout(io.StringIO()) as text:
        main()
    print(json.dumps(text.getvalue()))
"""


def decode(python, paths):
    """What crit makes of each image, by path."""
    done = subprocess.run([python, "-c", DECODE, *paths], check=True, stdout=subprocess.PIPE,
                          text=True)
    texts = [json.loads(line) for line in done.stdout.splitlines()]
    return {path: renamed(json.loads(text)) for path, text in zip(paths, texts, strict=True)}


def compare(python, directory, minimum):
    whole = show(directory)
    failures = []
    compared = 0
    references = decode(python, [os.path.join(directory, name) for name in images(directory)
                                 if not name.startswith("pages-")])
    for name in images(directory):
        path = os.path.join(directory, name)
        if name.startswith("pages-"):
            if whole.get(name) != {"bytes": os.path.getsize(path)}:
                failures.append("%s: not told by its size" % name)
            continue
        reference = references[path]
        compared += 1
        for what, ours in (("alone", show(path)), ("in its directory", whole.get(name))):
            if ours != reference:
                failures.append("%s (%s) differs:\n  crit    %s\n  dumpctl %s"
                                % (name, what, json.dumps(reference)[:2000],
                                   json.dumps(ours)[:2000]))
    if set(whole) != set(images(directory)):
        failures.append("shows %s" % sorted(whole))
    if failures:
        raise SystemExit("FAIL: " + "\n".join(failures))
    if compared < minimum:
        raise SystemExit("FAIL: %d images compared, %d expected" % (compared, minimum))
    return compared


def main():
    criu, python = stock("--criu"), stock("--python")
    compared = 0
    with tempfile.TemporaryDirectory() as scratch:
        for name, minimum, make in (
                ("bash", 10, lambda to: dump(criu, BASH, to)),
                ("python", 20, lambda to: dump(criu, PYTHON, to)),
                ("by_hand", 8, lambda to: make_by_hand(python, to))):
            directory = os.path.join(scratch, name)
            os.mkdir(directory)
            make(directory)
            compared += compare(python, directory, minimum)
    print("ok: %d images" % compared)


main()
