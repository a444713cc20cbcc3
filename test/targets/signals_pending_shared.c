/* Signals queued for the process, in their order and with all their siginfo. */
#include "test/targets/target.h"

static void Queue(int number, void* value) {
  union sigval sent = {.sival_ptr = value};
  REQUIRE(sigqueue(getpid(), number, sent) == 0);
}

static void ExpectNext(int number, int code, void* value) {
  sigset_t all;
  sigfillset(&all);
  siginfo_t info = {0};
  struct timespec now = {0};
  EXPECT_EQ(number, sigtimedwait(&all, &info, &now));
  EXPECT_EQ(code, info.si_code);
  EXPECT_EQ(getpid(), info.si_pid);
  EXPECT_EQ(getuid(), info.si_uid);
  if (code == SI_QUEUE) EXPECT_EQ(value, info.si_value.sival_ptr);
}

int main(void) {
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, NULL);
  Queue(SIGRTMAX, (void*)0x7fffffffffff);
  for (intptr_t i = 1; i <= 40; ++i) Queue(SIGRTMIN + 1, (void*)i);
  REQUIRE(kill(getpid(), SIGUSR2) == 0);
  REQUIRE(kill(getpid(), SIGUSR2) == 0);
  Checkpoint();
  ExpectNext(SIGUSR2, SI_USER, NULL);
  for (intptr_t i = 1; i <= 40; ++i) ExpectNext(SIGRTMIN + 1, SI_QUEUE, (void*)i);
  ExpectNext(SIGRTMAX, SI_QUEUE, (void*)0x7fffffffffff);
  struct timespec now = {0};
  EXPECT_EQ(-1, sigtimedwait(&all, NULL, &now));
  Pass();
}
