/* Every resource limit, soft and hard. */
#include <sys/resource.h>

#include "test/targets/target.h"

int main(void) {
  struct rlimit before[RLIM_NLIMITS];
  for (int i = 0; i < RLIM_NLIMITS; ++i) REQUIRE(getrlimit(i, &before[i]) == 0);
  before[RLIMIT_NOFILE] = (struct rlimit){123, 456};
  before[RLIMIT_CORE] = (struct rlimit){4096, 8192};
  before[RLIMIT_STACK].rlim_cur = 3 << 20;
  before[RLIMIT_DATA] = (struct rlimit){1ul << 40, 1ul << 41};
  before[RLIMIT_CPU] = (struct rlimit){5000, 6000};
  before[RLIMIT_FSIZE] = (struct rlimit){1ul << 42, RLIM_INFINITY};
  before[RLIMIT_RTPRIO] = (struct rlimit){0, 0};
  for (int i = 0; i < RLIM_NLIMITS; ++i) REQUIRE(setrlimit(i, &before[i]) == 0);
  Checkpoint();
  for (int i = 0; i < RLIM_NLIMITS; ++i) {
    struct rlimit after;
    EXPECT(getrlimit(i, &after) == 0);
    EXPECT_EQ(before[i].rlim_cur, after.rlim_cur);
    EXPECT_EQ(before[i].rlim_max, after.rlim_max);
  }
  Pass();
}
