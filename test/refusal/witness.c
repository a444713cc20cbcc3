/* A process that a dump must leave unharmed, and that can tell whether it did.
 *
 *   witness MODE PROGRESS FIFO [HOLDING]
 *
 * Its counters stand in the file PROGRESS, 64 bits each; each step checks private memory first, and
 * what is found wrong ends the process with a line on stdout. MODE:
 *   poll    one thread, blocked in poll(2) on FIFO for ever; every byte that comes is a step
 *   busy    four threads that step without pause
 *   vfork   as poll, and a second thread that sleeps uninterruptibly, for its vfork child
 *   orphan  the main thread exits, another one steps as in poll
 * HOLDING, what it holds on top:
 *   fds     a descriptor of each type that is refused, or is in such a state
 *   maps    a mapping of each kind that is refused
 *   tree    two children, one of them with a child of its own, which has an io_uring; their pids
 *           are printed as lines "child PID", its own as "grandchild PID"
 *   kin     children that no restore can bring back: lines "sharer PID" (CLONE_FS), "cloner PID"
 *           (CLONE_VM), "adopted PID" (of a session that has lost its leader)
 *   crossed two pieces of shared memory, one on both sides of the other, and a child that has them
 *   zombie  a child that has ended with 200: "zombie PID"
 *   odd     a deleted file, larger than 1 MiB, with a newline in its name
 *   aio     contexts of io_setup(2): lines "map ADDRESS WHY"
 *   unread  an inotify and a fanotify that have something to tell
 *   linked  a file whose name "first" is deleted, and "second" is not
 *   below   a file "over/below"
 *   guards  a guard region (MADV_GUARD_INSTALL)
 *   tree_shared, tree_connected, tree_linked  a tree that checks itself: see witness_trees.h
 *   seccomp nothing, but runs under a filter
 *   big     16 MiB of data
 *   large   80 MiB of data: two write it, into two files
 * Each such thing is printed as a line "fd NUMBER TYPE" or "map KIND" before "ready"; what this
 * machine does not have is not.
 */
#include <linux/aio_abi.h>
#include <linux/bpf.h>
#include <linux/io_uring.h>
#include <linux/perf_event.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/fanotify.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/wait.h>

#include "test/refusal/witness_inet.h"
#include "test/refusal/witness_sockets.h"
#include "test/refusal/witness_terminals.h"
#include "test/refusal/witness_trees.h"
#include "test/targets/seccomp_common.h"

enum { kThreads = 4, kBytes = 256 << 10 };

static int progress;
static int fifo;

static void Step(int thread, uint64_t count, const char* memory) {
  ExpectFilled("its memory", memory, kBytes, 7 + thread);
  CheckTree();
  EXPECT_EQ(8, pwrite(progress, &count, sizeof(count), 8 * thread));
}

static char* OwnMemory(int thread) {
  char* memory = Map(kBytes);
  Fill(memory, kBytes, 7 + thread);
  return memory;
}

static void WaitForState(pid_t tid, char state) {
  while (StateOfTask(tid) != state) SleepMs(1);
}

static void* StepByByte(void* ready) {
  const char* memory = OwnMemory(0);
  if (ready) Ready();
  for (uint64_t count = 1;; ++count) {
    struct pollfd poll_fd = {.fd = fifo, .events = POLLIN};
    char byte;
    EXPECT_EQ(1, poll(&poll_fd, 1, -1)); /* in particular no EINTR */
    EXPECT_EQ(1, read(fifo, &byte, 1));
    Step(0, count, memory);
  }
  return NULL;
}

static const char* memory_of[kThreads];

static void* StepForEver(void* argument) {
  const int thread = (int)(intptr_t)argument;
  const char* memory = memory_of[thread];
  ThreadReady();
  for (uint64_t count = 1;; ++count) Step(thread, count, memory);
  return NULL;
}

static int Sleep(void* unused) {
  (void)unused;
  while (true) pause();
  return 0;
}

static pid_t vforking;

static int SleepInVfork(void* unused) {
  ThreadReady(); /* in the memory of its parent */
  return Sleep(unused);
}

/* The child is its parent's sibling: nothing stands below the process. */
static void* WaitForVfork(void* unused) {
  (void)unused;
  vforking = Tid();
  char* stack = Map(64 << 10);
  const int flags = CLONE_VM | CLONE_VFORK | CLONE_PARENT | SIGCHLD;
  REQUIRE_SYSCALL(clone(SleepInVfork, stack + (64 << 10), flags, NULL));
  return NULL;
}

static void* OutliveMain(void* unused) {
  (void)unused;
  WaitForState(getpid(), 'Z'); /* main is to exit first */
  return StepByByte((void*)1);
}

static void ShowFd(long fd, const char* type) {
  if (fd >= 0) printf("fd %ld %s\n", fd, type);
}

/* Larger than what is saved without being asked for. */
static int LargeDeleted(const char* name) {
  const int file = REQUIRE_SYSCALL(open(name, O_RDWR | O_CREAT, 0600));
  static const char zeros[1 << 20];
  for (int i = 0; i < 2; ++i) REQUIRE(write(file, zeros, sizeof(zeros)) == sizeof(zeros));
  REQUIRE_SYSCALL(unlink(name));
  return file;
}

static int ForeignNamespace(void) {
  const pid_t pid = REQUIRE_SYSCALL(fork());
  if (pid == 0) {
    REQUIRE_SYSCALL(unshare(CLONE_NEWUTS));
    raise(SIGSTOP);
  }
  REQUIRE_SYSCALL(waitpid(pid, NULL, WUNTRACED));
  char path[32];
  snprintf(path, sizeof(path), "/proc/%d/ns/uts", pid);
  const int fd = REQUIRE_SYSCALL(open(path, O_RDONLY));
  REQUIRE_SYSCALL(kill(pid, SIGKILL));
  REQUIRE_SYSCALL(waitpid(pid, NULL, 0));
  return fd;
}

static pid_t sleeper;

static void* BeSleeper(void* unused) {
  (void)unused;
  sleeper = Tid();
  ThreadReady();
  while (true) pause();
  return NULL;
}

/* What procfs tells of a thread. */
static int OfThread(void) {
  StartThread(BeSleeper, NULL);
  WaitThreadsReady(1);
  char path[48];
  snprintf(path, sizeof(path), "/proc/self/task/%d/stat", sleeper);
  return REQUIRE_SYSCALL(open(path, O_RDONLY));
}

static int Watching(const char* path, uint32_t mask) {
  const int watches = REQUIRE_SYSCALL(inotify_init1(0));
  REQUIRE_SYSCALL(inotify_add_watch(watches, path, mask));
  return watches;
}

static int WatchingDeleted(void) {
  REQUIRE_SYSCALL(open("unlinked", O_RDONLY | O_CREAT, 0600));
  const int watches = Watching("unlinked", IN_MODIFY);
  REQUIRE_SYSCALL(unlink("unlinked"));
  return watches;
}

/* None where the kernel has no such marks. */
static int Marking(unsigned class, unsigned flags, uint64_t mask) {
  const int marks = fanotify_init(class, 0);
  if (marks < 0) return -1;
  close(REQUIRE_SYSCALL(open("marked", O_RDONLY | O_CREAT, 0600)));
  if (fanotify_mark(marks, FAN_MARK_ADD | flags, mask, AT_FDCWD, "marked") == 0) return marks;
  close(marks);
  return -1;
}

static void HoldEvents(void) {
  ShowFd(Watching(".", IN_CREATE), "inotify");
  ShowFd(Marking(FAN_CLASS_NOTIF, 0, FAN_OPEN), "fanotify");
  close(REQUIRE_SYSCALL(open("marked", O_RDONLY | O_CREAT, 0600)));
}

/* A request that never ends, and memory of which a part is missing. */
static void HoldAio(void) {
  aio_context_t busy = 0, cut = 0;
  REQUIRE_SYSCALL(syscall(SYS_io_setup, 1, &busy));
  REQUIRE_SYSCALL(syscall(SYS_io_setup, 200, &cut));
  REQUIRE_SYSCALL(munmap((char*)cut + 4096, 3 * 4096));
  int ends[2];
  REQUIRE_SYSCALL(pipe(ends));
  struct iocb request = {.aio_lio_opcode = IOCB_CMD_POLL, .aio_fildes = (uint32_t)ends[0]};
  request.aio_buf = POLLIN;
  struct iocb* requests[] = {&request};
  REQUIRE(syscall(SYS_io_submit, busy, 1, requests) == 1);
  printf("map %llx 1 request is still under way\n", (unsigned long long)busy);
  printf("map %llx unmapped\n", (unsigned long long)cut);
}

static void HoldFds(void) {
  ShowFd(HalfOfAPair(SOCK_STREAM), "socket");
  ShowFd(socket(AF_VSOCK, SOCK_STREAM, 0), "socket");
  ShowFd(eventfd(3, EFD_SEMAPHORE), "eventfd");
  ShowFd(timerfd_create(CLOCK_BOOTTIME_ALARM, 0), "timerfd");
  ShowFd(Watching("/dev", IN_ATTRIB | IN_ONESHOT), "inotify");
  ShowFd(Watching("/dev", IN_ATTRIB | IN_EXCL_UNLINK), "inotify");
  ShowFd(WatchingDeleted(), "inotify");
  REQUIRE_SYSCALL(symlink("locked", "link"));
  ShowFd(Watching("link", IN_ATTRIB | IN_DONT_FOLLOW), "inotify");
  ShowFd(Marking(FAN_CLASS_NOTIF, FAN_MARK_FILESYSTEM, FAN_OPEN), "fanotify");
  ShowFd(Marking(FAN_CLASS_CONTENT, 0, FAN_OPEN_PERM), "fanotify");
  ShowFd(syscall(SYS_pidfd_open, getppid(), 0), "pidfd");
  ShowFd(syscall(SYS_pidfd_open, getpid(), O_EXCL), "pidfd"); /* PIDFD_THREAD (Linux 6.9) */
  struct perf_event_attr counter = {.type = PERF_TYPE_SOFTWARE, .size = sizeof(counter)};
  ShowFd(syscall(SYS_perf_event_open, &counter, 0, -1, -1, 0), "perf event");
  union bpf_attr map = {.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4};
  map.max_entries = 1;
  ShowFd(syscall(SYS_bpf, BPF_MAP_CREATE, &map, sizeof(map)), "BPF object");
  ShowFd(ForeignNamespace(), "namespace");
  ShowFd(open("/dev/tty0", O_RDWR | O_NOCTTY), "terminal"); /* whichever console is seen */
  ShowFd(syscall(SYS_userfaultfd, UFFD_USER_MODE_ONLY), "userfaultfd");
  struct io_uring_params params = {0};
  ShowFd(syscall(SYS_io_uring_setup, 4, &params), "io_uring");
  int ends[2];
  REQUIRE_SYSCALL(pipe(ends));
  char path[32];
  snprintf(path, sizeof(path), "/proc/self/fd/%d", ends[0]);
  ShowFd(open(path, O_PATH), "pipe");
  ShowFd(OfThread(), "regular file");
  int file = REQUIRE_SYSCALL(open("locked", O_RDWR | O_CREAT, 0600));
  REQUIRE_SYSCALL(flock(file, LOCK_EX));
  ShowFd(file, "regular file");
  ShowFd(LargeDeleted("deleted"), "regular file");
  file = REQUIRE_SYSCALL(open("replaced", O_RDWR | O_CREAT, 0600));
  REQUIRE_SYSCALL(rename("replaced", "elsewhere"));
  REQUIRE_SYSCALL(link("elsewhere", "second"));
  REQUIRE_SYSCALL(unlink("elsewhere"));
  REQUIRE_SYSCALL(open("elsewhere", O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  ShowFd(file, "regular file");
}

static void ShowMap(const void* address, const char* kind) {
  if (address != MAP_FAILED) printf("map %lx %s\n", (unsigned long)address, kind);
}

/* SysV memory of which a part is unmapped, SysV memory for others to attach, semaphores and a
 * queue. */
static void HoldSysv(void) {
  const int cut = REQUIRE_SYSCALL(shmget(IPC_PRIVATE, 8192, 0600));
  char* memory = shmat(cut, NULL, 0);
  REQUIRE(memory != (void*)-1);
  REQUIRE_SYSCALL(munmap(memory + 4096, 4096));
  const int common = REQUIRE_SYSCALL(shmget(IPC_PRIVATE, 8192, 0600));
  REQUIRE(shmat(common, NULL, 0) != (void*)-1);
  const int set = REQUIRE_SYSCALL(semget(IPC_PRIVATE, 2, 0600));
  struct sembuf operation = {.sem_num = 0, .sem_op = 1};
  REQUIRE_SYSCALL(semop(set, &operation, 1));
  const int queue = REQUIRE_SYSCALL(msgget(IPC_PRIVATE, 0600));
  const struct {
    long type;
    char text[4];
  } message = {.type = 1, .text = "all"};
  REQUIRE_SYSCALL(msgsnd(queue, &message, sizeof message.text, 0));
  printf("cut %d\ncommon %d\nset %d\nqueue %d\n", cut, common, set, queue);
}

static void HoldMaps(void) {
  const int kRead = PROT_READ | PROT_WRITE;
  struct io_uring_params params = {0};
  const int ring = syscall(SYS_io_uring_setup, 4, &params);
  if (ring >= 0) {
    ShowMap(mmap(NULL, 4096, kRead, MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_SQ_RING),
            "the ring of an io_uring");
    close(ring);
  }
  const int deleted = LargeDeleted("mapped");
  ShowMap(mmap(NULL, 8192, kRead, MAP_SHARED, deleted, 0), "it is deleted");
  close(deleted);
}

static void HoldOddName(void) { LargeDeleted("odd\nname"); }

/* A deleted file of hugetlbfs. */
static void HoldHugetlbfs(void) {
  REQUIRE_SYSCALL(mkdir("huge", 0700));
  REQUIRE_SYSCALL(mount("none", "huge", "hugetlbfs", 0, NULL));
  ShowFd(open("huge/gone", O_CREAT | O_RDWR, 0600), "regular file");
  REQUIRE_SYSCALL(unlink("huge/gone"));
}

/* A file whose first name is gone. */
static void HoldLinked(void) {
  ShowFd(open("first", O_RDWR | O_CREAT, 0600), "regular file");
  REQUIRE_SYSCALL(link("first", "second"));
  REQUIRE_SYSCALL(unlink("first"));
}

/* A file of the directory "over", which somebody else may mount over. */
static void HoldBelow(void) {
  REQUIRE_SYSCALL(mkdir("over", 0755));
  ShowFd(open("over/below", O_RDWR | O_CREAT, 0600), "regular file");
}

static void HoldTree(void) {
  int ends[2];
  REQUIRE_SYSCALL(pipe(ends));
  for (int child = 0; child < 2; ++child) {
    const pid_t pid = REQUIRE_SYSCALL(fork());
    if (pid != 0) {
      printf("child %d\n", pid);
      continue;
    }
    close(ends[0]);
    if (child == 0 && REQUIRE_SYSCALL(fork()) == 0) {
      struct io_uring_params params = {0};
      syscall(SYS_io_uring_setup, 4, &params);
      dprintf(1, "grandchild %d\n", getpid());
    }
    close(ends[1]);
    Sleep(NULL);
  }
  /* The grandchild has to stand before it can be counted: nobody has the other end then. */
  close(ends[1]);
  char byte;
  REQUIRE(read(ends[0], &byte, 1) == 0);
  close(ends[0]);
}

static int SleepForEver(void* unused) {
  Sleep(NULL);
  return unused != NULL;
}

static void HoldKin(void) {
  REQUIRE_SYSCALL(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
  const long sharer =
      REQUIRE_SYSCALL(syscall(SYS_clone, CLONE_FS | SIGCHLD, NULL, NULL, NULL, NULL));
  if (sharer == 0) Sleep(NULL);
  printf("sharer %ld\n", sharer);
  static char stack[64 << 10];
  const long cloner =
      REQUIRE_SYSCALL(clone(SleepForEver, stack + sizeof stack, CLONE_VM | SIGCHLD, NULL));
  printf("cloner %ld\n", cloner);
  REQUIRE(fflush(stdout) == 0);
  const pid_t leader = REQUIRE_SYSCALL(fork());
  if (leader == 0) {
    REQUIRE_SYSCALL(setsid());
    const pid_t adopted = REQUIRE_SYSCALL(fork());
    if (adopted == 0) Sleep(NULL);
    printf("adopted %d\n", adopted);
    REQUIRE(fflush(stdout) == 0);
    _exit(0);
  }
  REQUIRE_SYSCALL(waitpid(leader, NULL, 0));
}

static void HoldCrossed(void) {
  enum { kPage = 4096 };
  const int kRead = PROT_READ | PROT_WRITE;
  const int kShared = MAP_SHARED | MAP_ANONYMOUS;
  char* room = (char*)REQUIRE_SYSCALL(mmap(NULL, 3 * kPage, kRead, kShared, -1, 0));
  REQUIRE_SYSCALL(mmap(room + kPage, kPage, kRead, kShared | MAP_FIXED, -1, 0));
  if (REQUIRE_SYSCALL(fork()) == 0) Sleep(NULL);
}

static void HoldZombie(void) {
  const pid_t pid = REQUIRE_SYSCALL(fork());
  if (pid == 0) _exit(200);
  siginfo_t info;
  REQUIRE_SYSCALL(waitid(P_PID, pid, &info, WEXITED | WNOWAIT));
  printf("zombie %d\n", pid);
}

static void Hold(const char* what) {
  if (strcmp(what, "fds") == 0) HoldFds();
  if (strcmp(what, "maps") == 0) HoldMaps();
  if (strcmp(what, "sysv") == 0) HoldSysv();
  if (strcmp(what, "tree") == 0) HoldTree();
  if (strcmp(what, "kin") == 0) HoldKin();
  if (strcmp(what, "crossed") == 0) HoldCrossed();
  if (strcmp(what, "zombie") == 0) HoldZombie();
  if (strcmp(what, "odd") == 0) HoldOddName();
  if (strcmp(what, "unread") == 0) HoldEvents();
  if (strcmp(what, "aio") == 0) HoldAio();
  if (strcmp(what, "below") == 0) HoldBelow();
  if (strcmp(what, "linked") == 0) HoldLinked();
  if (strcmp(what, "hugetlbfs") == 0) HoldHugetlbfs();
  if (strcmp(what, "guards") == 0) {
    char* memory = Map(16 * 4096);
    Fill(memory, 16 * 4096, 3);
    if (madvise(memory + 5 * 4096, 4096, 102 /* MADV_GUARD_INSTALL */) == 0) printf("guarded\n");
  }
  if (strcmp(what, "seccomp") == 0) {
    REQUIRE_SYSCALL(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    RefuseCall(SYS_personality, EPERM, 0);
  }
  if (strncmp(what, "socket_", 7) == 0) HoldSocket(what + 7);
  if (strncmp(what, "inet_", 5) == 0) HoldInet(what + 5);
  if (strncmp(what, "terminal_", 9) == 0) HoldTerminal(what + 9);
  if (strncmp(what, "tree_", 5) == 0) HoldTreeOf(what + 5);
  if (strcmp(what, "many") == 0) {
    for (int i = 0; i < 300; ++i) REQUIRE_SYSCALL(dup(STDOUT_FILENO));
  }
  if (strcmp(what, "big") == 0) Fill(Map(16 << 20), 16 << 20, 3);
  if (strcmp(what, "large") == 0) Fill(Map(80 << 20), 80 << 20, 3);
  REQUIRE(fflush(stdout) == 0);
}

int main(int argc, char** argv) {
  REQUIRE(argc >= 4);
  const char* mode = argv[1];
  progress = REQUIRE_SYSCALL(open(argv[2], O_RDWR | O_CREAT | O_TRUNC, 0644));
  fifo = REQUIRE_SYSCALL(open(argv[3], O_RDWR));
  if (argc > 4) Hold(argv[4]);
  if (strcmp(mode, "busy") == 0) {
    for (int i = 0; i < kThreads; ++i) memory_of[i] = OwnMemory(i);
    for (intptr_t i = 1; i < kThreads; ++i) StartThread(StepForEver, (void*)i);
    WaitThreadsReady(kThreads - 1);
    Ready();
    StepForEver((void*)0);
  }
  if (strcmp(mode, "vfork") == 0) {
    StartThread(WaitForVfork, NULL);
    WaitThreadsReady(1);
    WaitForState(vforking, 'D');
  }
  if (strcmp(mode, "orphan") == 0) {
    StartThread(OutliveMain, NULL);
    pthread_exit(NULL);
  }
  StepByByte((void*)1);
  return 0;
}
