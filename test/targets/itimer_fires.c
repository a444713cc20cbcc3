/* An interval timer that keeps firing, at its pace, after the dump. */
#include <sys/time.h>

#include "test/targets/target.h"

static volatile int fired;

static void Handle(int number) {
  (void)number;
  ++fired;
}

int main(void) {
  struct sigaction action = {.sa_handler = Handle, .sa_flags = SA_RESTART};
  sigaction(SIGALRM, &action, NULL);
  struct itimerval timer = {.it_value = {0, 10000}, .it_interval = {0, 10000}};
  REQUIRE(setitimer(ITIMER_REAL, &timer, NULL) == 0);
  while (fired == 0) SleepMs(1);
  Checkpoint();
  int64_t start = NowMs();
  int before = fired;
  /* Ten are due; those that come while this is off the processor are one. None comes early. */
  while ((NowMs() - start < 100 || fired - before < 3) && NowMs() - start < 10000) SleepMs(5);
  int count = fired - before;
  EXPECT(count >= 3);
  EXPECT(count <= 12 + (NowMs() - start) / 10);
  EXPECT(getitimer(ITIMER_REAL, &timer) == 0);
  EXPECT_EQ(0, timer.it_interval.tv_sec);
  EXPECT_EQ(10000, timer.it_interval.tv_usec);
  Pass();
}
