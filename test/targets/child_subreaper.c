/* A process that adopts its orphaned descendants. */
#include <sys/prctl.h>

#include "test/targets/target.h"

int main(void) {
  REQUIRE(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
  Checkpoint();
  int subreaper = -1;
  EXPECT(prctl(PR_GET_CHILD_SUBREAPER, &subreaper) == 0);
  EXPECT_EQ(1, subreaper);
  Pass();
}
