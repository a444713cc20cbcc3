/* ppoll with a timeout and a mask of its own, which is put back. */
#include <poll.h>

#include "test/targets/blocked.h"

static int pipe_fds[2];

static void Call(void) {
  struct pollfd poll_fd = {pipe_fds[0], POLLIN, 0};
  struct timespec timeout = {60, 0}; /* which nothing here takes as long as */
  sigset_t during, own, now;
  sigfillset(&during);
  sigemptyset(&own);
  sigaddset(&own, SIGWINCH);
  pthread_sigmask(SIG_SETMASK, &own, NULL);
  EXPECT_EQ(1, ppoll(&poll_fd, 1, &timeout, &during));
  EXPECT_EQ(POLLIN, poll_fd.revents);
  pthread_sigmask(SIG_SETMASK, NULL, &now);
  EXPECT(memcmp(&own, &now, 8) == 0);
}

static void Release(void) { EXPECT_EQ(1, write(pipe_fds[1], "p", 1)); }

int main(void) {
  REQUIRE(pipe(pipe_fds) == 0);
  static const Blocked kBlocked = {Call, SYS_ppoll, Release};
  RunBlocked(&kBlocked);
}
