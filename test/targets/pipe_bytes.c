/* Pipes with bytes in them, one of them dup'ed and non-blocking. */
#include "test/targets/target.h"

enum { kBytes = 30000 };

int main(void) {
  int fds[2], empty[2];
  REQUIRE(pipe(fds) == 0 && pipe2(empty, O_NONBLOCK) == 0);
  int copy = REQUIRE_SYSCALL(dup(fds[1]));
  char* bytes = Map(kBytes);
  Fill(bytes, kBytes, 20);
  REQUIRE(write(fds[1], bytes, 10) == 10);
  REQUIRE(write(copy, bytes + 10, kBytes - 10) == kBytes - 10);
  Checkpoint();
  memset(bytes, 0, kBytes);
  EXPECT_EQ(10, read(fds[0], bytes, 10));
  EXPECT_EQ(kBytes - 10, read(fds[0], bytes + 10, kBytes));
  ExpectFilled("bytes", bytes, kBytes, 20);
  EXPECT_EQ(-1, read(empty[0], bytes, 1));
  EXPECT_EQ(EAGAIN, errno);
  EXPECT_EQ(2, write(copy, "ab", 2));
  close(fds[1]);
  close(copy);
  EXPECT_EQ(2, read(fds[0], bytes, kBytes));
  EXPECT_EQ(0, read(fds[0], bytes, kBytes));
  Pass();
}
