/* pause, till a handler has run. */
#include "test/targets/blocked.h"

static volatile int handled;

static void Handle(int number) {
  (void)number;
  handled = 1;
}

static void Call(void) {
  EXPECT_EQ(-1, syscall(SYS_pause));
  EXPECT_EQ(EINTR, errno);
  EXPECT_EQ(1, handled);
}

static void Release(void) { EXPECT_EQ(0, pthread_kill(blocked_thread, SIGUSR1)); }

int main(void) {
  signal(SIGUSR1, Handle);
  static const Blocked kBlocked = {Call, SYS_pause, Release};
  RunBlocked(&kBlocked);
}
