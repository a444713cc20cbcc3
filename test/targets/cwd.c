/* The working directory. */
#include <sys/stat.h>

#include "test/targets/target.h"

int main(void) {
  REQUIRE(mkdir("a directory", 0755) == 0 && chdir("a directory") == 0 && mkdir("deep", 0755) == 0);
  REQUIRE(chdir("deep") == 0);
  char before[4096], after[4096];
  REQUIRE(getcwd(before, sizeof(before)));
  struct stat stat_before, stat_after;
  REQUIRE(stat(".", &stat_before) == 0);
  Checkpoint();
  EXPECT(getcwd(after, sizeof(after)));
  EXPECT_STREQ(before, after);
  EXPECT(stat(".", &stat_after) == 0);
  EXPECT_EQ(stat_before.st_ino, stat_after.st_ino);
  Pass();
}
