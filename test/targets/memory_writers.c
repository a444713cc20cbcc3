/* Memory that is written to without end, by rules that hold at every instant and for all processes
 * together: what is dumped must be of one instant, or a writer meets what it cannot have written.
 *
 * A writer goes round its pages, and writes the number of the round into each; so when it comes to
 * a page again, it finds the number of the round before. After each page it counts one up in shared
 * memory, and a second process, which copies that count to pages of its own, never has a greater
 * one than there is. */
#include <stdatomic.h>

#include "test/targets/family.h"
#include "test/targets/target.h"

enum { kPages = 4096, kPageSize = 4096, kFollowerPages = 2048 };

typedef struct {
  atomic_ulong count; /* pages that the writer has written */
  atomic_bool stop;
} Shared;

static Shared* shared;

static uint64_t* Page(char* memory, unsigned long i) { return (uint64_t*)(memory + i * kPageSize); }

/* What it finds wrong is told when all have stopped. */
typedef struct {
  char* memory;
  atomic_ulong rounds;
  unsigned long page, expected, found; /* of the first that was wrong */
  atomic_bool wrong;
} Writer;

static void SayWrong(Writer* writer, unsigned long page, unsigned long expected,
                     unsigned long found) {
  if (atomic_load(&writer->wrong)) return;
  writer->page = page;
  writer->expected = expected;
  writer->found = found;
  atomic_store(&writer->wrong, true);
}

static void ExpectRight(const char* who, Writer* writer) {
  if (!atomic_load(&writer->wrong)) return;
  Fail("%s met %lu instead of %lu on page %lu", who, writer->found, writer->expected, writer->page);
}

/* Both ends of the page, so that half a page is found out as well. */
static void Step(Writer* writer, unsigned long page, uint64_t before, uint64_t value) {
  volatile uint64_t* first = Page(writer->memory, page);
  volatile uint64_t* last = first + kPageSize / sizeof *first - 1;
  if (*first != before) SayWrong(writer, page, before, *first);
  if (*last != before) SayWrong(writer, page, before, *last);
  *first = value;
  *last = value;
}

static void* Write(void* argument) {
  Writer* writer = argument;
  unsigned long count = 0;
  for (uint64_t round = 1;; ++round) {
    for (unsigned long i = 0; i < kPages; ++i) {
      Step(writer, i, round - 1, round);
      const unsigned long before = atomic_fetch_add(&shared->count, 1);
      if (before != count++) SayWrong(writer, i, count - 1, before);
      /* Between two pages: what was written goes on being right. */
      if (atomic_load(&shared->stop)) return NULL;
    }
    atomic_store(&writer->rounds, round);
  }
}

/* Its pages hold counts, the greatest on the page before the next one. */
static void* Follow(void* argument) {
  Writer* writer = argument;
  uint64_t known[kFollowerPages] = {0};
  uint64_t greatest = 0;
  for (uint64_t round = 1; !atomic_load(&shared->stop); ++round) {
    for (unsigned long i = 0; i < kFollowerPages; ++i) {
      const uint64_t count = atomic_load(&shared->count);
      if (count < greatest) SayWrong(writer, i, greatest, count);
      Step(writer, i, known[i], count);
      known[i] = greatest = count;
    }
    atomic_store(&writer->rounds, round);
  }
  return NULL;
}

static void WaitForRounds(Writer* writer) {
  while (atomic_load(&writer->rounds) < 3) SleepMs(1);
}

static void RunFollower(Child* self, void* unused) {
  (void)unused;
  Writer follower = {.memory = Map((size_t)kFollowerPages * kPageSize)};
  pthread_t thread = StartThread(Follow, &follower);
  WaitForRounds(&follower);
  AwaitCheck(self);
  Join(thread);
  ExpectRight("the follower", &follower);
}

int main(void) {
  shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  REQUIRE(shared != MAP_FAILED);
  Writer writer = {.memory = Map((size_t)kPages * kPageSize)};
  Child* follower = StartChild(0, RunFollower, NULL);
  pthread_t thread = StartThread(Write, &writer);
  WaitForRounds(&writer);

  Checkpoint();

  const unsigned long rounds = atomic_load(&writer.rounds);
  while (atomic_load(&writer.rounds) < rounds + 3) SleepMs(1);
  atomic_store(&shared->stop, true);
  Join(thread);
  ExpectRight("the writer", &writer);
  CheckChild(follower);
  Pass();
}
