/* Descriptors that share one open file, beside another opening of the same file. */
#include "test/targets/file_map.h"

int main(void) {
  int fd = NewFile("file", 4096, 19);
  int low = REQUIRE_SYSCALL(dup(fd));
  int high = REQUIRE_SYSCALL(dup2(fd, 500));
  int other = REQUIRE_SYSCALL(open("file", O_RDWR));
  lseek(fd, 100, SEEK_SET);
  lseek(other, 200, SEEK_SET);
  Checkpoint();
  EXPECT_EQ(100, lseek(low, 0, SEEK_CUR));
  EXPECT_EQ(150, lseek(high, 50, SEEK_CUR));
  EXPECT_EQ(150, lseek(fd, 0, SEEK_CUR));
  EXPECT_EQ(200, lseek(other, 0, SEEK_CUR));
  EXPECT(fcntl(low, F_SETFL, O_APPEND) == 0);
  EXPECT_EQ(O_APPEND, fcntl(fd, F_GETFL) & O_APPEND);
  EXPECT_EQ(0, fcntl(other, F_GETFL) & O_APPEND);
  EXPECT_EQ(-1, fcntl(499, F_GETFD));
  Pass();
}
