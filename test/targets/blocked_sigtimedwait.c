/* sigtimedwait, whose interruption the kernel does not restart. */
#include "test/targets/blocked.h"

static sigset_t set;

static void Call(void) {
  struct timespec timeout = {timeout_ms / 1000, timeout_ms % 1000 * 1000000L};
  int got = syscall(SYS_rt_sigtimedwait, &set, NULL, &timeout, 8);
  EXPECT_EQ(-1, got);
  EXPECT_EQ(EAGAIN, errno);
}

int main(void) {
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  sigprocmask(SIG_BLOCK, &set, NULL);
  static const Blocked kBlocked = {Call, SYS_rt_sigtimedwait, NULL};
  RunBlocked(&kBlocked);
}
