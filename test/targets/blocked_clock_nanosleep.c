/* clock_nanosleep till a point in time. */
#include "test/targets/blocked.h"

static void Call(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  time.tv_sec += timeout_ms / 1000;
  EXPECT_EQ(0, clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL));
}

int main(void) {
  static const Blocked kBlocked = {Call, SYS_clock_nanosleep, NULL};
  RunBlocked(&kBlocked);
}
