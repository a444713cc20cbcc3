/* poll with a timeout, and nothing to report. */
#include <poll.h>

#include "test/targets/blocked.h"

static int pipe_fds[2];

static void Call(void) {
  struct pollfd poll_fd = {pipe_fds[0], POLLIN, 0};
  EXPECT_EQ(0, poll(&poll_fd, 1, timeout_ms));
}

int main(void) {
  REQUIRE(pipe(pipe_fds) == 0);
  static const Blocked kBlocked = {Call, SYS_poll, NULL};
  RunBlocked(&kBlocked);
}
