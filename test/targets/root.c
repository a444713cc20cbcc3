/* The root directory. */
#include <sys/stat.h>

#include "test/targets/target.h"

int main(void) {
  struct stat before, after;
  REQUIRE(mkdir("below", 0755) == 0);
  REQUIRE(stat(".", &before) == 0);
  REQUIRE(chroot(".") == 0 && chdir("/below") == 0);
  SetGoPath("/go");
  Checkpoint();
  EXPECT(stat("/", &after) == 0);
  EXPECT_EQ(before.st_ino, after.st_ino);
  EXPECT(stat("/..", &after) == 0);
  EXPECT_EQ(before.st_ino, after.st_ino);
  char directory[64];
  EXPECT(getcwd(directory, sizeof(directory)));
  EXPECT_STREQ("/below", directory);
  EXPECT(access("/etc/passwd", F_OK) != 0);
  Pass();
}
