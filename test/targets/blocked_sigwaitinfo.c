/* sigwaitinfo for a signal that carries a value. */
#include "test/targets/blocked.h"

static sigset_t set;

static void Call(void) {
  siginfo_t info = {0};
  EXPECT_EQ(SIGUSR1, syscall(SYS_rt_sigtimedwait, &set, &info, NULL, 8));
  EXPECT_EQ(SI_QUEUE, info.si_code);
  EXPECT_EQ(31415, info.si_value.sival_int);
}

static void Release(void) {
  union sigval value = {.sival_int = 31415};
  EXPECT_EQ(0, sigqueue(getpid(), SIGUSR1, value));
}

int main(void) {
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  sigprocmask(SIG_BLOCK, &set, NULL);
  static const Blocked kBlocked = {Call, SYS_rt_sigtimedwait, Release};
  RunBlocked(&kBlocked);
}
