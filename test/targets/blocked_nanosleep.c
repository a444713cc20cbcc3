/* nanosleep: relative, so that its end is in the kernel alone. */
#include "test/targets/blocked.h"

static void Call(void) {
  struct timespec time = {timeout_ms / 1000, timeout_ms % 1000 * 1000000L};
  /* Not the library's, which calls clock_nanosleep. */
  EXPECT_EQ(0, syscall(SYS_nanosleep, &time, NULL));
}

int main(void) {
  static const Blocked kBlocked = {Call, SYS_nanosleep, NULL};
  RunBlocked(&kBlocked);
}
