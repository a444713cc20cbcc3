/* A terabyte reserved twice, with a handful of pages in it. */
#include "test/targets/target.h"

static const size_t kReserved = 1ul << 40;
enum { kPage = 4096, kPages = 5 };

static char* Reserve(int protection) {
  char* area =
      mmap(NULL, kReserved, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  REQUIRE(area != MAP_FAILED);
  return area;
}

static char* PageOf(char* area, int number) {
  return area + number * (kReserved / kPages) / kPage * kPage;
}

int main(void) {
  char* none = Reserve(PROT_NONE);
  char* writable = Reserve(PROT_READ | PROT_WRITE);
  for (int i = 0; i < kPages; ++i) {
    REQUIRE(mprotect(PageOf(none, i), kPage, PROT_READ | PROT_WRITE) == 0);
    Fill(PageOf(none, i), kPage, i);
    Fill(PageOf(writable, i), kPage, 10 + i);
  }
  Checkpoint();
  for (int i = 0; i < kPages; ++i) {
    ExpectFilled("page of PROT_NONE", PageOf(none, i), kPage, i);
    ExpectFilled("page of MAP_NORESERVE", PageOf(writable, i), kPage, 10 + i);
  }
  EXPECT_EQ(0, writable[kReserved - 1]);
  EXPECT(strstr(SmapsField(none + kReserved - 1, "maps"), " ---p ") != NULL);
  EXPECT(HasVmFlag(writable + kReserved / 2 + kPage, "nr"));
  Pass();
}
