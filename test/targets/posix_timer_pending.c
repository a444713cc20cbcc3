/* A POSIX timer that expired before the dump: its signal is still pending, and says whose it is. */
#include "test/targets/target.h"

int main(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGRTMIN + 2);
  sigprocmask(SIG_BLOCK, &set, NULL);
  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 2};
  event.sigev_value.sival_int = 424242;
  int id = -1;
  REQUIRE(syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &id) == 0);
  struct itimerspec spec = {.it_value = {0, 1000000}};
  REQUIRE(syscall(SYS_timer_settime, id, 0, &spec, NULL) == 0);
  sigset_t pending;
  do {
    SleepMs(1);
    sigpending(&pending);
  } while (!sigismember(&pending, SIGRTMIN + 2));
  Checkpoint();
  siginfo_t info = {0};
  struct timespec now = {0};
  EXPECT_EQ(SIGRTMIN + 2, sigtimedwait(&set, &info, &now));
  EXPECT_EQ(SI_TIMER, info.si_code);
  EXPECT_EQ(id, info.si_timerid);
  EXPECT_EQ(424242, info.si_value.sival_int);
  EXPECT(syscall(SYS_timer_gettime, id, &spec) == 0);
  EXPECT_EQ(0, spec.it_value.tv_sec);
  EXPECT_EQ(0, spec.it_value.tv_nsec);
  Pass();
}
