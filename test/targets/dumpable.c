/* A process that asked not to be dumpable. */
#include <sys/prctl.h>

#include "test/targets/target.h"

int main(void) {
  REQUIRE(prctl(PR_SET_DUMPABLE, 0) == 0);
  Checkpoint();
  EXPECT_EQ(0, prctl(PR_GET_DUMPABLE));
  Pass();
}
