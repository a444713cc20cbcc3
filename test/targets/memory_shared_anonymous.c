/* Anonymous shared memory, seen through two mappings. */
#include "test/targets/target.h"

enum { kSize = 8 * 4096 };

int main(void) {
  char* first = mmap(NULL, kSize, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  REQUIRE(first != MAP_FAILED);
  /* An old size of 0 makes a second mapping of the same pages. */
  char* second = mremap(first, 0, kSize, MREMAP_MAYMOVE);
  REQUIRE(second != MAP_FAILED);
  Fill(first, kSize, 16);
  Checkpoint();
  ExpectFilled("first", first, kSize, 16);
  ExpectFilled("second", second, kSize, 16);
  first[100] = 'a';
  EXPECT_EQ('a', second[100]);
  second[kSize - 1] = 'b';
  EXPECT_EQ('b', first[kSize - 1]);
  Pass();
}
