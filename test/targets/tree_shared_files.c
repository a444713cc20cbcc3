/* A descriptor table that two processes share (CLONE_FILES): what one opens or closes, the other
 * has, or has no more. */
#include <sched.h>

#include "test/targets/family.h"
#include "test/targets/target.h"

enum { kBefore = 200, kAfter = 201 };

static int FlagsOf(int fd) { return fcntl(fd, F_GETFD); }

static void Sharer(Child* self, void* unused) {
  (void)unused;
  REQUIRE_SYSCALL(dup2(0, kBefore));
  AwaitCheck(self);
  EXPECT_EQ(kAfter, dup2(0, kAfter));
  EXPECT_EQ(0, close(kBefore));
}

static void Loner(Child* self, void* unused) {
  (void)unused;
  AwaitCheck(self);
  EXPECT_EQ(-1, FlagsOf(kAfter));
  EXPECT_EQ(0, FlagsOf(kBefore));
}

int main(void) {
  Child* sharer = StartChild(CLONE_FILES, Sharer, NULL);
  REQUIRE(FlagsOf(kBefore) == 0);
  Child* loner = StartChild(0, Loner, NULL);

  Checkpoint();

  EXPECT_EQ(0, FlagsOf(kBefore));
  CheckChild(sharer);
  EXPECT_EQ(-1, FlagsOf(kBefore));
  EXPECT_EQ(0, FlagsOf(kAfter));
  CheckChild(loner);
  Pass();
}
