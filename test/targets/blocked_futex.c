/* A futex wait without an end. */
#include <linux/futex.h>

#include "test/targets/blocked.h"

static int word = 7;

static void Call(void) {
  EXPECT_EQ(0, syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 7, NULL, NULL, 0));
  EXPECT_EQ(8, word);
}

static void Release(void) {
  word = 8;
  EXPECT_EQ(1, syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0));
}

int main(void) {
  static const Blocked kBlocked = {Call, SYS_futex, Release};
  RunBlocked(&kBlocked);
}
