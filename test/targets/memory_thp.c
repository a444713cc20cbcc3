/* Memory in transparent huge pages. */
#include "test/targets/target.h"

enum { kHuge = 2 << 20 };

int main(void) {
  char* area = Map(4 * kHuge);
  area = (char*)(((uintptr_t)area + kHuge - 1) & ~(uintptr_t)(kHuge - 1));
  if (madvise(area, 2 * kHuge, MADV_HUGEPAGE) != 0) Skip("this kernel has no huge pages");
  Fill(area, kHuge, 12);
  area[kHuge + 12345] = 'h';
  Checkpoint();
  ExpectFilled("first huge page", area, kHuge, 12);
  for (int i = 0; i < kHuge; ++i) {
    if (area[kHuge + i] != (i == 12345 ? 'h' : 0)) Fail("second huge page at %d", i);
  }
  EXPECT(HasVmFlag(area, "hg"));
  Pass();
}
