/* The close-on-exec flag, which belongs to the descriptor and not to the open file. */
#include "test/targets/file_map.h"

int main(void) {
  int keeps = REQUIRE_SYSCALL(open("file", O_RDWR | O_CREAT, 0644));
  int closes = REQUIRE_SYSCALL(fcntl(keeps, F_DUPFD_CLOEXEC, 0));
  int pipe_fds[2];
  REQUIRE(pipe2(pipe_fds, O_CLOEXEC) == 0);
  fcntl(pipe_fds[0], F_SETFD, 0);
  Checkpoint();
  EXPECT_EQ(0, fcntl(keeps, F_GETFD));
  EXPECT_EQ(FD_CLOEXEC, fcntl(closes, F_GETFD));
  EXPECT_EQ(0, fcntl(pipe_fds[0], F_GETFD));
  EXPECT_EQ(FD_CLOEXEC, fcntl(pipe_fds[1], F_GETFD));
  Pass();
}
