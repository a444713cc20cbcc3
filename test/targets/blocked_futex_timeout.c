/* A futex wait with a timeout that is relative. */
#include <linux/futex.h>

#include "test/targets/blocked.h"

static int word = 7;

static void Call(void) {
  struct timespec timeout = {timeout_ms / 1000, timeout_ms % 1000 * 1000000L};
  EXPECT_EQ(-1, syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 7, &timeout, NULL, 0));
  EXPECT_EQ(ETIMEDOUT, errno);
}

int main(void) {
  static const Blocked kBlocked = {Call, SYS_futex, NULL};
  RunBlocked(&kBlocked);
}
