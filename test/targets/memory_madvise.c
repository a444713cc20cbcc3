/* Every advice that a mapping remembers. */
#include "test/targets/target.h"

typedef struct {
  int advice;
  const char* flag;
} Advice;

static const Advice kAdvices[] = {
    {MADV_DONTFORK, "dc"}, {MADV_WIPEONFORK, "wf"}, {MADV_HUGEPAGE, "hg"}, {MADV_NOHUGEPAGE, "nh"},
    {MADV_DONTDUMP, "dd"}, {MADV_SEQUENTIAL, "sr"}, {MADV_RANDOM, "rr"},   {MADV_MERGEABLE, "mg"},
};
enum { kCount = sizeof(kAdvices) / sizeof(kAdvices[0]), kSize = 4 * 4096 };

int main(void) {
  char* areas[kCount];
  bool taken[kCount];
  char* plain = Map(kSize);
  for (int i = 0; i < kCount; ++i) {
    areas[i] = Map(kSize);
    Fill(areas[i], kSize, i);
    /* Fails where the kernel was built without it. */
    taken[i] = madvise(areas[i], kSize, kAdvices[i].advice) == 0;
  }
  REQUIRE(taken[0] && taken[1]);
  Checkpoint();
  for (int i = 0; i < kCount; ++i) {
    if (HasVmFlag(areas[i], kAdvices[i].flag) != taken[i]) {
      Fail("%s is %s", kAdvices[i].flag, taken[i] ? "lost" : "new");
    }
    if (HasVmFlag(plain, kAdvices[i].flag)) Fail("%s is on plain memory", kAdvices[i].flag);
    ExpectFilled("content", areas[i], kSize, i);
  }
  Pass();
}
