/* The program that /proc/self/exe names. */
#include <sys/stat.h>

#include "test/targets/target.h"

int main(void) {
  char before[4096] = "", after[4096] = "";
  struct stat stat_before, stat_after;
  REQUIRE(readlink("/proc/self/exe", before, sizeof(before) - 1) > 0);
  REQUIRE(stat("/proc/self/exe", &stat_before) == 0);
  Checkpoint();
  EXPECT(readlink("/proc/self/exe", after, sizeof(after) - 1) > 0);
  EXPECT_STREQ(before, after);
  EXPECT(stat("/proc/self/exe", &stat_after) == 0);
  EXPECT_EQ(stat_before.st_ino, stat_after.st_ino);
  Pass();
}
