/* select without an end, till its pipe has a byte. */
#include <sys/select.h>

#include "test/targets/blocked.h"

static int pipe_fds[2];

static void Call(void) {
  fd_set readable;
  FD_ZERO(&readable);
  FD_SET(pipe_fds[0], &readable);
  EXPECT_EQ(1, select(pipe_fds[0] + 1, &readable, NULL, NULL, NULL));
  EXPECT(FD_ISSET(pipe_fds[0], &readable));
}

static void Release(void) { EXPECT_EQ(1, write(pipe_fds[1], "p", 1)); }

int main(void) {
  REQUIRE(pipe(pipe_fds) == 0);
  static const Blocked kBlocked = {Call, SYS_pselect6, Release};
  RunBlocked(&kBlocked);
}
