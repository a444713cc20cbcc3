/* Signals queued for one thread each, in their order and with all their siginfo. */
#include "test/targets/target.h"

enum { kThreads = 2 };
static pid_t tids[kThreads];

static void Queue(pid_t tid, int number, int value) {
  siginfo_t info = {0};
  info.si_signo = number;
  info.si_code = SI_QUEUE;
  info.si_pid = 4321;
  info.si_uid = 1234;
  info.si_value.sival_int = value;
  REQUIRE(syscall(SYS_rt_tgsigqueueinfo, getpid(), tid, number, &info) == 0);
}

static void ExpectNext(int number, int code, int value) {
  sigset_t all;
  sigfillset(&all);
  siginfo_t info = {0};
  struct timespec now = {0};
  /* Not the library's: it makes SI_USER of SI_TKILL. */
  EXPECT_EQ(number, syscall(SYS_rt_sigtimedwait, &all, &info, &now, 8));
  EXPECT_EQ(code, info.si_code);
  if (code != SI_QUEUE) return;
  EXPECT_EQ(value, info.si_value.sival_int);
  EXPECT_EQ(4321, info.si_pid);
  EXPECT_EQ(1234, info.si_uid);
}

static void* Body(void* argument) {
  int number = (int)(intptr_t)argument;
  tids[number] = Tid();
  ThreadReady();
  WaitForGo();
  ExpectNext(SIGUSR1, SI_TKILL, 0);
  ExpectNext(SIGRTMIN, SI_QUEUE, 100 * number + 1);
  ExpectNext(SIGRTMIN, SI_QUEUE, 100 * number + 2);
  ExpectNext(SIGRTMIN + 3, SI_QUEUE, 100 * number + 3);
  sigset_t all;
  sigfillset(&all);
  struct timespec now = {0};
  EXPECT_EQ(-1, sigtimedwait(&all, NULL, &now));
  return NULL;
}

int main(void) {
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, NULL);
  pthread_t threads[kThreads];
  for (intptr_t i = 0; i < kThreads; ++i) threads[i] = StartThread(Body, (void*)i);
  WaitThreadsReady(kThreads);
  for (int i = 0; i < kThreads; ++i) {
    Queue(tids[i], SIGRTMIN + 3, 100 * i + 3);
    Queue(tids[i], SIGRTMIN, 100 * i + 1);
    Queue(tids[i], SIGRTMIN, 100 * i + 2);
    REQUIRE(syscall(SYS_tgkill, getpid(), tids[i], SIGUSR1) == 0);
  }
  Checkpoint();
  for (int i = 0; i < kThreads; ++i) Join(threads[i]);
  Pass();
}
