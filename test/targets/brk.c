/* The program break: the heap's content, and where it goes on. */
#include "test/targets/target.h"

enum { kOdd = 3 * 4096 + 123 };

int main(void) {
  char* start = sbrk(kOdd);
  REQUIRE(start != (void*)-1);
  Fill(start, kOdd, 6);
  Checkpoint();
  ExpectFilled("heap", start, kOdd, 6);
  EXPECT_EQ(start + kOdd, sbrk(0));
  char* more = sbrk(10 * 4096);
  EXPECT_EQ(start + kOdd, more);
  Fill(more, 10 * 4096, 7);
  ExpectFilled("heap", start, kOdd, 6);
  EXPECT_EQ(0, brk(start + 4096));
  EXPECT_EQ(start + 4096, sbrk(0));
  Pass();
}
