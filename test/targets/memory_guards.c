/* Guard regions: no access there, and content around them. */
#include <setjmp.h>

#include "test/targets/target.h"

enum { kPage = 4096, kPages = 16, kGuardInstall = 102 };
static sigjmp_buf fault;

static void Handle(int number) { siglongjmp(fault, number); }

static bool Faults(volatile char* address) {
  if (sigsetjmp(fault, 1) != 0) return true;
  (void)*address;
  return false;
}

int main(void) {
  char* area = Map(kPages * kPage);
  Fill(area, kPages * kPage, 15);
  if (madvise(area + 2 * kPage, 3 * kPage, kGuardInstall) != 0)
    Skip("this kernel has no guard regions");
  REQUIRE(madvise(area + 9 * kPage, kPage, kGuardInstall) == 0);
  char expected[kPages * kPage];
  Fill(expected, sizeof(expected), 15);
  signal(SIGSEGV, Handle);
  Checkpoint();
  for (int i = 0; i < kPages; ++i) {
    bool guard = (i >= 2 && i < 5) || i == 9;
    if (Faults(area + i * kPage) != guard) Fail("page %d %s", i, guard ? "can be read" : "faults");
    if (!guard && memcmp(area + i * kPage, expected + i * kPage, kPage) != 0) Fail("page %d", i);
  }
  Pass();
}
