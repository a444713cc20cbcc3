/* Real, effective, saved and file system ids, and supplementary groups. */
#include <grp.h>
#include <sys/fsuid.h>

#include "test/targets/target.h"

int main(void) {
  gid_t groups[] = {5, 100, 70000, 4000000000u};
  REQUIRE(setgroups(4, groups) == 0);
  REQUIRE(setresgid(2001, 2002, 2003) == 0);
  REQUIRE(setresuid(1001, 0, 1003) == 0);
  setfsgid(2004);
  setfsuid(1004);
  Checkpoint();
  EXPECT_STREQ("1001\t0\t1003\t1004", StatusField("Uid"));
  EXPECT_STREQ("2001\t2002\t2003\t2004", StatusField("Gid"));
  EXPECT_STREQ("5 100 70000 4000000000", StatusField("Groups"));
  Pass();
}
