/* The three interval timers: intervals exactly, remaining time as far as it went on. */
#include <sys/time.h>

#include "test/targets/target.h"

static const int kValues[] = {1000, 2000, 3000};
static const int kIntervals[] = {7, 8, 0};

int main(void) {
  for (int which = 0; which < 3; ++which) {
    struct itimerval timer = {.it_value = {kValues[which], 500},
                              .it_interval = {kIntervals[which], 9}};
    REQUIRE(setitimer(which, &timer, NULL) == 0);
  }
  Checkpoint();
  for (int which = 0; which < 3; ++which) {
    struct itimerval timer;
    EXPECT(getitimer(which, &timer) == 0);
    EXPECT_EQ(kIntervals[which], timer.it_interval.tv_sec);
    /* Time of the two that count processor time comes in ticks. */
    EXPECT(timer.it_interval.tv_usec >= 9 && timer.it_interval.tv_usec < 10100);
    EXPECT(timer.it_value.tv_sec <= kValues[which] && timer.it_value.tv_sec > kValues[which] - 60);
  }
  Pass();
}
