/* Locked memory. */
#include "test/targets/target.h"

enum { kSize = 8 * 4096 };

int main(void) {
  char* area = Map(3 * kSize);
  Fill(area, 3 * kSize, 11);
  if (mlock(area + kSize, kSize) != 0) Skip("memory cannot be locked here");
  Checkpoint();
  ExpectFilled("content", area, 3 * kSize, 11);
  EXPECT(!HasVmFlag(area, "lo"));
  EXPECT(HasVmFlag(area + kSize, "lo"));
  EXPECT(!HasVmFlag(area + 2 * kSize, "lo"));
  Pass();
}
