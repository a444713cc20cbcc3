/* poll without an end, till its pipe has a byte. */
#include <poll.h>

#include "test/targets/blocked.h"

static int pipe_fds[2];

static void Call(void) {
  struct pollfd poll_fd = {pipe_fds[0], POLLIN, 0};
  EXPECT_EQ(1, poll(&poll_fd, 1, -1));
  EXPECT_EQ(POLLIN, poll_fd.revents);
}

static void Release(void) { EXPECT_EQ(1, write(pipe_fds[1], "p", 1)); }

int main(void) {
  REQUIRE(pipe(pipe_fds) == 0);
  static const Blocked kBlocked = {Call, SYS_poll, Release};
  RunBlocked(&kBlocked);
}
