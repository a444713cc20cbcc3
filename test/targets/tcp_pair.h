/* What targets with connections of TCP share. */
#ifndef TEST_TARGETS_TCP_PAIR_H_
#define TEST_TARGETS_TCP_PAIR_H_

#include <linux/sockios.h>
#include <sys/wait.h>

#include "test/targets/inet_socket.h"

/* A connection with both ends here: who connected first. */
static inline void ConnectedPair(int listening, const char* text, int port, int pair[2]) {
  pair[0] = Connected(text, SOCK_STREAM, 0, port);
  pair[1] = REQUIRE_SYSCALL(accept(listening, NULL, NULL));
}

static inline int StateOf(int fd) {
  struct tcp_info info;
  socklen_t size = sizeof(info);
  EXPECT_EQ(0, getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size));
  return info.tcpi_state;
}

static inline void WaitForState(int fd, int state) {
  while (StateOf(fd) != state) SleepMs(1);
}

static inline int QueuedIn(int fd) {
  int bytes = 0;
  REQUIRE_SYSCALL(ioctl(fd, FIONREAD, &bytes));
  return bytes;
}

static inline void WaitForBytes(int fd, int bytes) {
  while (QueuedIn(fd) < bytes) SleepMs(1);
}

static inline void Talk(int one, int other) {
  Send(one, "there");
  EXPECT_RECEIVED("there", other);
  Send(other, "and back");
  EXPECT_RECEIVED("and back", one);
}

/* Numbers, as many as go in; how many these are. */
static inline int FillUp(int fd) {
  enum { kPieces = 4096 };
  static uint32_t piece[kPieces];
  uint32_t next = 0;
  for (;;) {
    for (int i = 0; i < kPieces; ++i) piece[i] = next + i;
    const ssize_t sent = send(fd, piece, sizeof(piece), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0) break;
    REQUIRE(sent % sizeof(piece[0]) == 0);
    next += sent / sizeof(piece[0]);
  }
  REQUIRE(errno == EAGAIN);
  return next;
}

static inline void ExpectNumbers(int fd, int count) {
  for (int i = 0; i < count; ++i) {
    uint32_t number = 0;
    EXPECT_EQ(sizeof(number), recv(fd, &number, sizeof(number), MSG_WAITALL));
    EXPECT_EQ(i, number);
  }
}

/* Waits until what was sent has come as far as it will: the receiver still takes some when it is
 * asked for its window again, some time later. */
static inline void WaitUntilSettled(int sender) {
  int before = -1;
  int left = 0;
  for (int unchanged = 0; unchanged < 5; before = left, SleepMs(100)) {
    REQUIRE_SYSCALL(ioctl(sender, SIOCOUTQ, &left));
    unchanged = left == before ? unchanged + 1 : 0;
  }
}

/* A connection whose receiver has no room for all that was sent. */
static inline int FullPair(int port, int pair[2]) {
  int small = Listening("127.0.0.1", port, 5);
  SetOption(small, SOL_SOCKET, SO_RCVBUF, 8192);
  ConnectedPair(small, "127.0.0.1", port, pair);
  SetOption(pair[0], SOL_SOCKET, SO_SNDBUF, 30000);
  const int numbers = FillUp(pair[0]);
  WaitUntilSettled(pair[0]);
  return numbers;
}

/* Runs `body` in a process that is no child of this one, nor of its session, and goes on for ever:
 * the other end of a connection that is not part of the dump. */
static inline void Outside(void (*body)(void)) {
  const pid_t child = REQUIRE_SYSCALL(fork());
  if (child == 0) {
    if (REQUIRE_SYSCALL(fork()) != 0) _exit(0);
    REQUIRE_SYSCALL(setsid());
    REQUIRE_SYSCALL(close_range(3, ~0U, 0));
    body();
    for (;;) pause();
  }
  REQUIRE(waitpid(child, NULL, 0) == child);
}

#endif /* TEST_TARGETS_TCP_PAIR_H_ */
