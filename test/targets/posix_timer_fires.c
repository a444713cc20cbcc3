/* A POSIX timer that keeps firing in the thread it names, with its value. */
#include "test/targets/target.h"

static volatile int fired;
static pid_t tid;

static void Handle(int number, siginfo_t* info, void* context) {
  (void)number, (void)context;
  EXPECT_EQ(tid, Tid());
  EXPECT_EQ(SI_TIMER, info->si_code);
  EXPECT_EQ(99, info->si_value.sival_int);
  ++fired;
}

static void* Body(void* unused) {
  tid = Tid();
  struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1};
  event.sigev_value.sival_int = 99;
  event._sigev_un._tid = tid;
  int id = -1;
  REQUIRE(syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &id) == 0);
  struct itimerspec spec = {.it_value = {0, 10000000}, .it_interval = {0, 10000000}};
  REQUIRE(syscall(SYS_timer_settime, id, 0, &spec, NULL) == 0);
  while (fired == 0) SleepMs(1);
  ThreadReady();
  WaitForGo();
  int64_t start = NowMs();
  int before = fired;
  /* Ten are due; those that come while this is off the processor are one. */
  while ((NowMs() - start < 100 || fired - before < 3) && NowMs() - start < 10000) SleepMs(5);
  EXPECT(fired - before >= 3);
  EXPECT(syscall(SYS_timer_gettime, id, &spec) == 0);
  EXPECT_EQ(0, spec.it_interval.tv_sec);
  EXPECT_EQ(10000000, spec.it_interval.tv_nsec);
  return unused;
}

int main(void) {
  struct sigaction action = {.sa_sigaction = Handle, .sa_flags = SA_SIGINFO | SA_RESTART};
  sigaction(SIGUSR1, &action, NULL);
  pthread_t thread = StartThread(Body, NULL);
  WaitThreadsReady(1);
  Checkpoint();
  Join(thread);
  Pass();
}
