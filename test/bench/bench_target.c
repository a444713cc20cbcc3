/* What scripts/bench dumps: a process of one shape that measures by itself how long it stood still.
 *
 *   bench_target tiny                      nothing but the thread that measures
 *   bench_target pages BYTES               so many bytes of memory in pages of 4 KiB, all written
 *   bench_target writer BYTES              the same, and a thread that writes to 64 of them each ms
 *   bench_target sparse BYTES              so many bytes of memory, a page in each 64 MiB written
 *   bench_target anon-vmas COUNT           so many mappings of a page, alternating in protection
 *   bench_target file-vmas COUNT FILES     the same over so many files, made in the work directory
 *   bench_target threads COUNT             so many sleeping threads
 *   bench_target tasks COUNT BYTES         so many forked processes with so many bytes of their
 *                                          parent's, a sixteenth of it written since
 *   bench_target descriptors COUNT EVERY   so many files, eventfds and timerfds, with each EVERYth
 *                                          file a pipe, in as many processes as it takes
 *   bench_target unix COUNT                so many pairs of unix sockets, with data in each of them
 *
 * One thread, "measure", bound to the last CPU it may use, reads CLOCK_MONOTONIC without end and
 * keeps the longest gap between two readings. Of "writer" the thread that writes does so once a
 * round, and counts them: it feels what is done to the memory, too. SIGUSR1 makes both forget all
 * that, and prints "reset"; SIGUSR2 prints "gap NANOSECONDS OF_WRITER ROUNDS", the last two 0 where
 * there is no such thread. The first line is "ready". */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define PAGE ((size_t)4096)

static volatile sig_atomic_t asked_reset;
static volatile sig_atomic_t asked_gap;

static void Fail(const char* what) {
  perror(what);
  exit(2);
}

static void Check(int result, const char* what) {
  if (result < 0) Fail(what);
}

/* A function of pthreads gives its error back. */
static void CheckThread(int error, const char* what) {
  if (error == 0) return;
  fprintf(stderr, "%s: %s\n", what, strerror(error));
  exit(2);
}

/* By one call, as whoever reads it may look at any moment. */
static void Say(const char* line) {
  if (write(STDOUT_FILENO, line, strlen(line)) < 0) Fail("write");
}

static void OnSignal(int number) {
  if (number == SIGUSR1) asked_reset = 1;
  if (number == SIGUSR2) asked_gap = 1;
}

static sigset_t Questions(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  sigaddset(&set, SIGUSR2);
  return set;
}

static int64_t Now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static void BindToLastCpu(void) {
  cpu_set_t allowed;
  Check(sched_getaffinity(0, sizeof allowed, &allowed), "sched_getaffinity");
  int last = 0;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &allowed)) last = cpu;
  }
  CPU_ZERO(&allowed);
  CPU_SET(last, &allowed);
  Check(sched_setaffinity(0, sizeof allowed, &allowed), "sched_setaffinity");
}

static struct {
  char* memory;
  size_t pages;
  _Atomic int64_t longest_gap; /* between the beginnings of two rounds */
  _Atomic uint64_t rounds;
} written;

/* Pays what the dump before has left to whoever writes to a page first: a fault each, after a copy.
 * The next one is not to be charged with it. */
static void WriteToEach(void) {
  for (size_t page = 0; page < written.pages; ++page) {
    ((volatile char*)written.memory)[page * PAGE + 128] = 1;
  }
}

static _Noreturn void Measure(void) {
  BindToLastCpu();
  Check(prctl(PR_SET_NAME, "measure"), "prctl");
  const sigset_t questions = Questions();
  CheckThread(pthread_sigmask(SIG_UNBLOCK, &questions, NULL), "pthread_sigmask");
  int64_t longest = 0;
  int64_t last = Now();
  for (;;) {
    const int64_t now = Now();
    if (now - last > longest) longest = now - last;
    last = now;
    if (asked_reset) {
      asked_reset = 0;
      WriteToEach();
      written.longest_gap = 0;
      written.rounds = 0;
      Say("reset\n");
      longest = 0;
      last = Now();
    }
    if (asked_gap) {
      char line[96];
      asked_gap = 0;
      snprintf(line, sizeof line, "gap %jd %jd %ju\n", (intmax_t)longest,
               (intmax_t)written.longest_gap, (uintmax_t)written.rounds);
      Say(line);
      last = Now();
    }
  }
}

static void* MeasureThread(void* unused) {
  (void)unused;
  Measure();
}

static char* Map(size_t bytes, int fd) {
  const int flags = MAP_PRIVATE | (fd < 0 ? MAP_ANONYMOUS : 0);
  char* memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, fd, 0);
  if (memory == MAP_FAILED) Fail("mmap");
  return memory;
}

static void Fill(char* memory, size_t bytes) {
  for (size_t at = 0; at < bytes; at += PAGE) memset(memory + at, 1 + (int)(at / PAGE % 255), 64);
}

static char* WritePages(size_t bytes) {
  char* memory = Map(bytes, -1);
  Check(madvise(memory, bytes, MADV_NOHUGEPAGE), "madvise");
  Fill(memory, bytes);
  return memory;
}

static void* WriteOn(void* unused) {
  Check(prctl(PR_SET_NAME, "writer"), "prctl");
  uint64_t random = 1;
  int64_t last = Now();
  for (;;) {
    const int64_t now = Now();
    if (now - last > written.longest_gap) written.longest_gap = now - last;
    last = now;
    ++written.rounds;
    for (int i = 0; i < 64; ++i) {
      random = random * 6364136223846793005 + 1442695040888963407;
      written.memory[(random >> 33) % written.pages * PAGE + 64] = (char)random;
    }
    usleep(1000);
  }
  return unused;
}

static void StartWriter(size_t bytes) {
  pthread_t thread;
  written.memory = WritePages(bytes);
  written.pages = bytes / PAGE;
  CheckThread(pthread_create(&thread, NULL, WriteOn, NULL), "pthread_create");
  while (written.rounds == 0) usleep(100);
}

static void MapSparsely(size_t bytes) {
  const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  char* memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
  if (memory == MAP_FAILED) Fail("mmap");
  Check(madvise(memory, bytes, MADV_NOHUGEPAGE), "madvise");
  for (size_t at = 0; at < bytes; at += (size_t)64 << 20) Fill(memory + at, PAGE);
}

/* Every other page read-only: each page is a mapping of its own. */
static void Alternate(char* memory, size_t pages) {
  for (size_t page = 0; page < pages; page += 2) {
    Check(mprotect(memory + page * PAGE, PAGE, PROT_READ), "mprotect");
  }
}

static void MapFiles(size_t count, size_t files) {
  const size_t pages = count / files;
  for (size_t i = 0; i < files; ++i) {
    char name[32];
    snprintf(name, sizeof name, "mapped-%zu", i);
    const int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0644);
    Check(fd, name);
    Check(ftruncate(fd, (off_t)(pages * PAGE)), "ftruncate");
    Alternate(Map(pages * PAGE, fd), pages);
    Check(close(fd), "close");
  }
}

static void* Sleep(void* unused) {
  while (pause()) continue;
  return unused;
}

static void StartThreads(size_t count) {
  pthread_attr_t attributes;
  CheckThread(pthread_attr_init(&attributes), "pthread_attr_init");
  CheckThread(pthread_attr_setstacksize(&attributes, 64 * 1024), "pthread_attr_setstacksize");
  for (size_t i = 0; i < count; ++i) {
    pthread_t thread;
    CheckThread(pthread_create(&thread, &attributes, Sleep, NULL), "pthread_create");
  }
}

/* A child that does something, and then sleeps; it has been done when this returns. */
static void ForkAndWait(void (*act)(void* argument), void* argument) {
  int ready[2];
  char byte;
  Check(pipe(ready), "pipe");
  const pid_t child = fork();
  Check(child, "fork");
  if (child == 0) {
    act(argument);
    Check(close(ready[0]), "close");
    Check(close(ready[1]), "close");
    Sleep(NULL);
  }
  Check(close(ready[1]), "close");
  Check((int)read(ready[0], &byte, 1), "read");
  Check(close(ready[0]), "close");
}

struct bytes {
  char* memory;
  size_t count;
};

static void Increment(void* argument) {
  struct bytes* bytes = argument;
  for (size_t i = 0; i < bytes->count; ++i) bytes->memory[i] = (char)(bytes->memory[i] + 1);
}

static void ForkTasks(size_t count, size_t bytes) {
  struct bytes own = {WritePages(bytes), bytes / 16};
  for (size_t i = 0; i < count; ++i) ForkAndWait(Increment, &own);
}

/* How many there may be. */
static size_t AllowDescriptors(void) {
  struct rlimit limit;
  Check(getrlimit(RLIMIT_NOFILE, &limit), "getrlimit");
  limit.rlim_cur = limit.rlim_max;
  Check(setrlimit(RLIMIT_NOFILE, &limit), "setrlimit");
  return limit.rlim_cur;
}

struct files {
  size_t count;
  size_t every; /* of them has a pipe beside it */
};

static void OpenFiles(void* argument) {
  const struct files* files = argument;
  size_t left = files->count;
  for (size_t i = 0; left >= 5; ++i, left -= 3) {
    char name[32];
    snprintf(name, sizeof name, "open-%d-%zu", getpid(), i);
    Check(open(name, O_RDWR | O_CREAT | O_TRUNC, 0644), name);
    int ends[2];
    Check(eventfd((unsigned)i, 0), "eventfd");
    Check(timerfd_create(CLOCK_MONOTONIC, 0), "timerfd_create");
    if (i % files->every != 0) continue;
    Check(pipe(ends), "pipe");
    left -= 2;
  }
}

static void OpenDescriptors(size_t count, size_t every) {
  struct files files = {AllowDescriptors() - 100, every};
  for (; count > files.count; count -= files.count) ForkAndWait(OpenFiles, &files);
  files.count = count;
  OpenFiles(&files);
}

static void OpenUnixPairs(size_t count) {
  AllowDescriptors();
  for (size_t i = 0; i < count; ++i) {
    int pair[2];
    char data[128];
    memset(data, (int)i, sizeof data);
    const int type = i % 2 == 0 ? SOCK_STREAM : SOCK_DGRAM;
    Check(socketpair(AF_UNIX, type, 0, pair), "socketpair");
    for (int j = 0; j < 4; ++j) Check((int)send(pair[j % 2], data, sizeof data, 0), "send");
  }
}

static size_t Number(int argc, char** argv, int index) {
  const size_t number = index < argc ? strtoull(argv[index], NULL, 10) : 0;
  if (number > 0) return number;
  fprintf(stderr, "bench_target: argument %d must be a number\n", index);
  exit(2);
}

int main(int argc, char** argv) {
  const char* shape = argc > 1 ? argv[1] : "";
  const sigset_t questions = Questions();
  CheckThread(pthread_sigmask(SIG_BLOCK, &questions, NULL), "pthread_sigmask");
  const struct sigaction action = {.sa_handler = OnSignal, .sa_flags = SA_RESTART};
  Check(sigaction(SIGUSR1, &action, NULL), "sigaction");
  Check(sigaction(SIGUSR2, &action, NULL), "sigaction");

  if (strcmp(shape, "pages") == 0) {
    WritePages(Number(argc, argv, 2));
  } else if (strcmp(shape, "writer") == 0) {
    StartWriter(Number(argc, argv, 2));
  } else if (strcmp(shape, "sparse") == 0) {
    MapSparsely(Number(argc, argv, 2));
  } else if (strcmp(shape, "anon-vmas") == 0) {
    const size_t count = Number(argc, argv, 2);
    Alternate(Map(count * PAGE, -1), count);
  } else if (strcmp(shape, "file-vmas") == 0) {
    MapFiles(Number(argc, argv, 2), Number(argc, argv, 3));
  } else if (strcmp(shape, "threads") == 0) {
    StartThreads(Number(argc, argv, 2));
  } else if (strcmp(shape, "tasks") == 0) {
    ForkTasks(Number(argc, argv, 2), Number(argc, argv, 3));
  } else if (strcmp(shape, "descriptors") == 0) {
    OpenDescriptors(Number(argc, argv, 2), Number(argc, argv, 3));
  } else if (strcmp(shape, "unix") == 0) {
    OpenUnixPairs(Number(argc, argv, 2));
  } else if (strcmp(shape, "tiny") != 0) {
    fprintf(stderr, "bench_target: no shape \"%s\"\n", shape);
    return 2;
  }
  pthread_t thread;
  CheckThread(pthread_create(&thread, NULL, MeasureThread, NULL), "pthread_create");
  Say("ready\n");
  for (;;) pause();
}
