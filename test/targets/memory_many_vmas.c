/* Two thousand mappings. */
#include "test/targets/target.h"

enum { kPage = 4096, kVmas = 2000 };

int main(void) {
  char* area = Map(kVmas * kPage);
  for (int i = 0; i < kVmas; ++i) {
    if (i % 5 == 0) Fill(area + i * kPage, kPage, i);
    REQUIRE(mprotect(area + i * kPage, kPage, i % 2 ? PROT_READ : PROT_READ | PROT_WRITE) == 0);
  }
  Checkpoint();
  int found = 0;
  for (const char* line = ReadText("/proc/self/maps"); line; line = strchr(line, '\n')) {
    if (*line == '\n') ++line;
    unsigned long start, end;
    char permissions[5];
    if (sscanf(line, "%lx-%lx %4s", &start, &end, permissions) != 3) break;
    for (unsigned long page = start; page < end; page += kPage) {
      long i = ((long)page - (long)area) / kPage;
      if ((long)page < (long)area || i >= kVmas) continue;
      EXPECT_STREQ(i % 2 ? "r--p" : "rw-p", permissions);
      ++found;
    }
  }
  EXPECT_EQ(kVmas, found);
  for (int i = 0; i < kVmas; i += 5) ExpectFilled("page", area + i * kPage, kPage, i);
  Pass();
}
