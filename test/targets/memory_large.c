/* So much memory that two may write it at the same time, with holes, and with pages that a copy of
 * the process would not have, on both sides of its middle. */
#include <sys/mman.h>

#include "test/targets/target.h"

enum { kPages = 20480, kPageSize = 4096 };

/* Every 64th page is not there. */
static bool IsThere(int i) { return i % 64 != 7; }

static uint64_t* Page(char* memory, int i) { return (uint64_t*)(memory + (size_t)i * kPageSize); }

/* Both ends, so that half a page is found out as well. */
static void FillPage(char* memory, int i) {
  Page(memory, i)[0] = (uint64_t)i + 1;
  Page(memory, i)[kPageSize / sizeof(uint64_t) - 1] = ~(uint64_t)i;
}

static void ExpectPage(char* memory, int i) {
  const uint64_t first = Page(memory, i)[0];
  const uint64_t last = Page(memory, i)[kPageSize / sizeof(uint64_t) - 1];
  const bool right =
      IsThere(i) ? first == (uint64_t)i + 1 && last == ~(uint64_t)i : !first && !last;
  if (!right) Fail("page %d begins with %lx and ends with %lx", i, first, last);
}

int main(void) {
  char* memory = Map((size_t)kPages * kPageSize);
  for (int i = 0; i < kPages; ++i) {
    if (IsThere(i)) FillPage(memory, i);
  }
  for (int quarter = 1; quarter <= 3; quarter += 2) {
    EXPECT(madvise(Page(memory, quarter * kPages / 4), 16 * kPageSize, MADV_DONTFORK) == 0);
  }
  Checkpoint();
  for (int i = 0; i < kPages; ++i) ExpectPage(memory, i);
  for (int i = 0; i < kPages; i += 32) FillPage(memory, i);
  Pass();
}
