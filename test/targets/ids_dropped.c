/* A process that gave up root for good: no capability left, and not dumpable by then. */
#include <grp.h>
#include <sys/prctl.h>

#include "test/targets/target.h"

int main(void) {
  REQUIRE(setgroups(0, NULL) == 0);
  REQUIRE(setresgid(3001, 3001, 3001) == 0);
  REQUIRE(setresuid(3001, 3001, 3001) == 0);
  int dumpable = prctl(PR_GET_DUMPABLE);
  Checkpoint();
  EXPECT_EQ(dumpable, prctl(PR_GET_DUMPABLE));
  EXPECT_STREQ("3001\t3001\t3001\t3001", StatusField("Uid"));
  EXPECT_STREQ("", StatusField("Groups"));
  EXPECT_STREQ("0000000000000000", StatusField("CapEff"));
  EXPECT_STREQ("0000000000000000", StatusField("CapPrm"));
  EXPECT_EQ(-1, setuid(0));
  Pass();
}
