/* What writes to memory without end, in two processes, by rules that hold at every instant and for
 * both together: what is dumped must be of one instant, or a writer meets what it cannot have
 * written.
 *
 * A writer knows what each of its pages holds. And it counts the pages it has written three times:
 * by where it stands in its round, in memory of its own, and in memory that both share. Whatever of
 * these is of another instant than the others, earlier or later, makes the next page's counts
 * differ; so both processes are of the instant of the memory that they share. */
#ifndef TEST_TARGETS_WRITERS_H_
#define TEST_TARGETS_WRITERS_H_

#include <stdatomic.h>

#include "test/targets/target.h"

enum { kPageSize = 4096 };

typedef struct {
  atomic_ulong written;  /* pages, by the one */
  atomic_ulong followed; /* and by the other */
  atomic_bool ready;     /* where they have no other way to tell each other */
  atomic_bool stop;
} Shared;

/* What it finds wrong is told when all have stopped. */
typedef struct {
  const char* who;
  char* memory;
  atomic_ulong* shared_count;       /* of pages that it has written, and */
  volatile unsigned long own_count; /* the same in memory of its own */
  atomic_ulong rounds;
  const char* what; /* of the first that was wrong */
  unsigned long page, expected, found;
  atomic_bool wrong;
} Writer;

static inline void Expect(Writer* writer, const char* what, unsigned long page,
                          unsigned long expected, unsigned long found) {
  if (expected == found || atomic_load(&writer->wrong)) return;
  writer->what = what;
  writer->page = page;
  writer->expected = expected;
  writer->found = found;
  atomic_store(&writer->wrong, true);
}

static inline void ExpectRight(Writer* writer) {
  if (!atomic_load(&writer->wrong)) return;
  Fail("%s: %s %lu instead of %lu on page %lu", writer->who, writer->what, writer->found,
       writer->expected, writer->page);
}

/* Both ends of the page, so that half a page is found out as well. */
static inline void Step(Writer* writer, unsigned long page, uint64_t before, uint64_t value) {
  volatile uint64_t* first = (uint64_t*)(writer->memory + page * kPageSize);
  volatile uint64_t* last = first + kPageSize / sizeof *first - 1;
  Expect(writer, "it begins with", page, before, *first);
  Expect(writer, "it ends with", page, before, *last);
  *first = value;
  *last = value;
}

/* After a page, before which it had written so many by where it stands. Wherever it is stopped,
 * what it has to do still is in its registers. */
static inline void Count(Writer* writer, unsigned long page, unsigned long written) {
  const unsigned long shared_count = atomic_fetch_add(writer->shared_count, 1);
  Expect(writer, "all share a count of", page, written, shared_count);
  Expect(writer, "it has a count of", page, written, writer->own_count);
  ++writer->own_count;
}

static inline void WaitForRounds(Writer* writer) {
  while (atomic_load(&writer->rounds) < 3) SleepMs(1);
}

static inline void WaitForMore(atomic_ulong* count, unsigned long more) {
  const unsigned long before = atomic_load(count);
  while (atomic_load(count) < before + more) SleepMs(1);
}

#endif /* TEST_TARGETS_WRITERS_H_ */
