/* read on an empty pipe. */
#include "test/targets/blocked.h"

static int pipe_fds[2];

static void Call(void) {
  char byte = 0;
  EXPECT_EQ(1, read(pipe_fds[0], &byte, 1));
  EXPECT_EQ(112, byte);
}

static void Release(void) { EXPECT_EQ(1, write(pipe_fds[1], "p", 1)); }

int main(void) {
  REQUIRE(pipe(pipe_fds) == 0);
  static const Blocked kBlocked = {Call, SYS_read, Release};
  RunBlocked(&kBlocked);
}
