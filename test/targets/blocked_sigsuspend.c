/* sigsuspend, which waits under a mask of its own and puts the old one back. */
#include "test/targets/blocked.h"

static volatile int handled;

static void Handle(int number) {
  (void)number;
  handled = 1;
}

static void Call(void) {
  sigset_t block, during, now;
  sigemptyset(&block);
  sigaddset(&block, SIGUSR1);
  pthread_sigmask(SIG_SETMASK, &block, NULL);
  sigemptyset(&during);
  sigaddset(&during, SIGHUP);
  EXPECT_EQ(-1, sigsuspend(&during));
  EXPECT_EQ(1, handled);
  pthread_sigmask(SIG_SETMASK, NULL, &now);
  EXPECT(memcmp(&block, &now, 8) == 0);
}

static void Release(void) { EXPECT_EQ(0, pthread_kill(blocked_thread, SIGUSR1)); }

int main(void) {
  signal(SIGUSR1, Handle);
  static const Blocked kBlocked = {Call, SYS_rt_sigsuspend, Release};
  RunBlocked(&kBlocked);
}
