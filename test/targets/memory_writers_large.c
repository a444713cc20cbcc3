/* Two processes of so much memory that it is written beforehand by default, which write to it
 * without end: see writers.h. They are no kin, for one runs the program anew, and have in common
 * what a memfd holds.
 *
 * Each goes round some of its pages, the hot ones, as fast as it can, and comes to a few of the
 * others in each round: so whatever was written of it before, and then again, there is as much to
 * be written again. What the pages have to hold is known by memory that is too little to be written
 * beforehand. */
#include "test/targets/writers.h"

#include <sys/statvfs.h>
#include <sys/wait.h>

enum { kHotPages = 14336, kColdPages = 53248, kColdOfRound = 8 };
enum { kPages = kHotPages + kColdPages, kOfRound = kHotPages + kColdOfRound };
enum { kNeededMiB = 2048 };

static Shared* shared;
static uint64_t known[kPages];

static unsigned long PageOf(unsigned long round, unsigned long i) {
  if (i < kHotPages) return i;
  return kHotPages + (round * kColdOfRound + i - kHotPages) % kColdPages;
}

/* The follower writes the count of the other one's pages, which it finds never less than before,
 * and the other its own. */
static void* Write(void* argument) {
  Writer* writer = argument;
  uint64_t greatest = 0;
  for (unsigned long round = 0;; ++round) {
    for (unsigned long i = 0; i < kOfRound; ++i) {
      const unsigned long page = PageOf(round, i);
      const uint64_t count = atomic_load(&shared->written);
      if (count < greatest) Expect(writer, "of the other it finds", page, greatest, count);
      Step(writer, page, known[page], count);
      known[page] = greatest = count;
      Count(writer, page, round * kOfRound + i);
      if (atomic_load(&shared->stop)) return NULL;
    }
    atomic_store(&writer->rounds, round + 1);
    SleepMs(1);
  }
}

/* None of its pages holds zeros. */
static pthread_t Begin(Writer* writer) {
  writer->memory = Map((size_t)kPages * kPageSize);
  REQUIRE(madvise(writer->memory, (size_t)kPages * kPageSize, MADV_NOHUGEPAGE) == 0);
  for (unsigned long page = 0; page < kPages; ++page) {
    known[page] = page + 1;
    Step(writer, page, 0, known[page]);
  }
  pthread_t thread = StartThread(Write, writer);
  WaitForRounds(writer);
  return thread;
}

static void End(Writer* writer, pthread_t thread) {
  Join(thread);
  for (unsigned long page = 0; page < kPages; ++page) Step(writer, page, known[page], known[page]);
  ExpectRight(writer);
}

static void MapShared(int file) {
  shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  REQUIRE(shared != MAP_FAILED);
}

static int Follow(int file) {
  MapShared(file);
  Writer follower = {.who = "the follower", .shared_count = &shared->followed};
  pthread_t thread = Begin(&follower);
  atomic_store(&shared->ready, true);
  while (!atomic_load(&shared->stop)) SleepMs(1);
  End(&follower, thread);
  return 0;
}

static void SkipWithoutRoom(void) {
  const char* available = strstr(ReadText("/proc/meminfo"), "MemAvailable:");
  long kib = 0;
  REQUIRE(available != NULL && sscanf(available, "MemAvailable: %ld kB", &kib) == 1);
  if (kib / 1024 < kNeededMiB) Skip("it takes 2 GiB of memory");
  struct statvfs disk;
  REQUIRE_SYSCALL(statvfs(".", &disk));
  if (disk.f_bavail * disk.f_frsize >> 20 < kNeededMiB) Skip("it takes 2 GiB of disk");
}

int main(int argc, char** argv) {
  if (argc == 2) return Follow(atoi(argv[1]));
  SkipWithoutRoom();
  const int file = REQUIRE_SYSCALL(memfd_create("counts", 0));
  REQUIRE_SYSCALL(ftruncate(file, sizeof *shared));
  MapShared(file);
  const pid_t child = REQUIRE_SYSCALL(fork());
  if (child == 0) {
    /* Long enough to move the stack, which tells a program from another where addresses are not
     * random. */
    char number[64];
    snprintf(number, sizeof number, "%040d", file);
    execl(argv[0], argv[0], number, NULL);
    _exit(127);
  }
  Writer writer = {.who = "the writer", .shared_count = &shared->written};
  pthread_t thread = Begin(&writer);
  while (!atomic_load(&shared->ready)) {
    REQUIRE(waitpid(child, NULL, WNOHANG) == 0);
    SleepMs(1);
  }

  Checkpoint();

  WaitForMore(&shared->written, 3 * kOfRound);
  WaitForMore(&shared->followed, 3 * kOfRound);
  atomic_store(&shared->stop, true);
  End(&writer, thread);
  int status = -1;
  EXPECT_EQ(child, waitpid(child, &status, 0));
  EXPECT_EQ(0, status);
  Pass();
}
