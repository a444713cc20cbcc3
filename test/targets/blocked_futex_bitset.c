/* A futex wait on a bit set, till a point in time. */
#include <linux/futex.h>

#include "test/targets/blocked.h"

static int word = 7;

static void Call(void) {
  struct timespec till;
  clock_gettime(CLOCK_MONOTONIC, &till);
  till.tv_sec += timeout_ms / 1000;
  EXPECT_EQ(-1, syscall(SYS_futex, &word, FUTEX_WAIT_BITSET_PRIVATE, 7, &till, NULL, 0x10));
  EXPECT_EQ(ETIMEDOUT, errno);
}

int main(void) {
  static const Blocked kBlocked = {Call, SYS_futex, NULL};
  RunBlocked(&kBlocked);
}
