/* How readily the kernel kills this process for memory. */
#include "test/targets/target.h"

int main(void) {
  int fd = open("/proc/self/oom_score_adj", O_WRONLY);
  REQUIRE(fd >= 0 && write(fd, "321", 3) == 3);
  close(fd);
  Checkpoint();
  EXPECT_STREQ("321\n", ReadText("/proc/self/oom_score_adj"));
  Pass();
}
