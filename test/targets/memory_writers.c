/* Memory that two processes write to without end: see writers.h.
 *
 * One goes round its pages, and writes the number of the round into each; so when it comes to a
 * page again, it finds the number of the round before. The other copies the count of the first
 * one's pages to pages of its own, and never has a greater one than there is. */
#include "test/targets/writers.h"

#include "test/targets/family.h"

enum { kPages = 4096, kFollowerPages = 2048 };

static Shared* shared;

static void* Write(void* argument) {
  Writer* writer = argument;
  for (uint64_t round = 1;; ++round) {
    for (unsigned long i = 0; i < kPages; ++i) {
      Step(writer, i, round - 1, round);
      Count(writer, i, (round - 1) * kPages + i);
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
      const uint64_t count = atomic_load(&shared->written);
      if (count < greatest) Expect(writer, "of the other it finds", i, greatest, count);
      Step(writer, i, known[i], count);
      known[i] = greatest = count;
      Count(writer, i, (round - 1) * kFollowerPages + i);
    }
    atomic_store(&writer->rounds, round);
  }
  return NULL;
}

static void RunFollower(Child* self, void* unused) {
  (void)unused;
  Writer follower = {.who = "the follower",
                     .memory = Map((size_t)kFollowerPages * kPageSize),
                     .shared_count = &shared->followed};
  pthread_t thread = StartThread(Follow, &follower);
  WaitForRounds(&follower);
  AwaitCheck(self);
  Join(thread);
  ExpectRight(&follower);
}

int main(void) {
  shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  REQUIRE(shared != MAP_FAILED);
  Writer writer = {.who = "the writer",
                   .memory = Map((size_t)kPages * kPageSize),
                   .shared_count = &shared->written};
  Child* follower = StartChild(0, RunFollower, NULL);
  pthread_t thread = StartThread(Write, &writer);
  WaitForRounds(&writer);

  Checkpoint();

  WaitForMore(&shared->written, 3 * kPages);
  WaitForMore(&shared->followed, 2 * kFollowerPages);
  atomic_store(&shared->stop, true);
  Join(thread);
  ExpectRight(&writer);
  CheckChild(follower);
  Pass();
}
