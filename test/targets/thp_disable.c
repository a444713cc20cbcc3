/* Transparent huge pages switched off for the process. */
#include <sys/prctl.h>

#include "test/targets/target.h"

int main(void) {
  REQUIRE(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) == 0);
  Checkpoint();
  EXPECT_EQ(1, prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0));
  Pass();
}
