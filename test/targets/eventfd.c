/* Event counters: one of them dup'ed, an empty one that does not block, and the largest count that
 * a restore brings back. */
#include <poll.h>
#include <sys/eventfd.h>

#include "test/targets/target.h"

static const uint64_t kLargest = 0xffffffff;

static bool IsReadable(int fd) {
  struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
  return poll(&poll_fd, 1, 0) == 1 && poll_fd.revents == POLLIN;
}

int main(void) {
  int plain = REQUIRE_SYSCALL(eventfd(7, 0));
  int empty = REQUIRE_SYSCALL(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  int large = REQUIRE_SYSCALL(eventfd(0, EFD_NONBLOCK));
  int copy = REQUIRE_SYSCALL(dup(plain));
  REQUIRE(write(large, &kLargest, 8) == 8);
  Checkpoint();
  EXPECT_EQ(O_RDWR, fcntl(plain, F_GETFL) & (O_NONBLOCK | O_ACCMODE));
  EXPECT_EQ(FD_CLOEXEC, fcntl(empty, F_GETFD));
  EXPECT_EQ(0, fcntl(plain, F_GETFD));
  EXPECT(IsReadable(plain) && IsReadable(large) && !IsReadable(empty));
  uint64_t count = 0;
  EXPECT_EQ(-1, read(empty, &count, 8));
  EXPECT_EQ(EAGAIN, errno);
  EXPECT_EQ(8, read(large, &count, 8));
  EXPECT_EQ(kLargest, count);
  const uint64_t kMore = 5;
  EXPECT_EQ(8, write(copy, &kMore, 8));
  EXPECT_EQ(8, read(plain, &count, 8));
  EXPECT_EQ(12, count);
  EXPECT(!IsReadable(copy));
  Pass();
}
