/* no_new_privs, in the whole process. */
#include <sys/prctl.h>

#include "test/targets/target.h"

int main(void) {
  REQUIRE(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
  Checkpoint();
  EXPECT_EQ(1, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
  Pass();
}
