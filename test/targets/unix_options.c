/* Options of unix sockets (socket(7)), and who gets their SIGIO. */
#include <linux/filter.h>
#include <sys/time.h>

#include "test/targets/unix_socket.h"

static const int kSwitches[] = {SO_PASSCRED,  SO_DONTROUTE, SO_NO_CHECK,
                                SO_BROADCAST, SO_KEEPALIVE, SO_OOBINLINE};
enum { kCount = sizeof(kSwitches) / sizeof(kSwitches[0]) };

static int Get(int fd, int option) {
  int value = -1;
  socklen_t size = sizeof(value);
  EXPECT_EQ(0, getsockopt(fd, SOL_SOCKET, option, &value, &size));
  return value;
}

static void Set(int fd, int option, int value) {
  REQUIRE_SYSCALL(setsockopt(fd, SOL_SOCKET, option, &value, sizeof(value)));
}

static int64_t GetTime(int fd, int option) {
  struct timeval time;
  socklen_t size = sizeof(time);
  EXPECT_EQ(0, getsockopt(fd, SOL_SOCKET, option, &time, &size));
  return time.tv_sec * 1000000 + time.tv_usec;
}

int main(void) {
  int pair[2], plain[2], filtered[2];
  Pair(SOCK_STREAM, pair);
  Pair(SOCK_DGRAM, plain);
  Pair(SOCK_DGRAM, filtered);
  for (int i = 0; i < kCount; ++i) Set(pair[0], kSwitches[i], 1);
  Set(pair[0], SO_SNDBUF, 100000);
  Set(pair[0], SO_RCVBUF, 5000);
  Set(pair[0], SO_RCVLOWAT, 17);
  Set(pair[0], SO_PRIORITY, 3);
  const struct timeval send_timeout = {2, 500000}, receive_timeout = {3, 0};
  REQUIRE_SYSCALL(
      setsockopt(pair[0], SOL_SOCKET, SO_SNDTIMEO, &send_timeout, sizeof(send_timeout)));
  REQUIRE_SYSCALL(
      setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &receive_timeout, sizeof(receive_timeout)));
  const struct linger linger = {1, 9};
  REQUIRE_SYSCALL(setsockopt(pair[0], SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
  /* Packets of more than four bytes are dropped. */
  struct sock_filter filter[] = {{BPF_LD | BPF_W | BPF_LEN, 0, 0, 0},
                                 {BPF_JMP | BPF_JGT | BPF_K, 1, 0, 4},
                                 {BPF_RET | BPF_K, 0, 0, 0xffff},
                                 {BPF_RET | BPF_K, 0, 0, 0}};
  const struct sock_fprog program = {4, filter};
  REQUIRE_SYSCALL(setsockopt(filtered[1], SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)));
  Send(filtered[0], "abcd");
  struct f_owner_ex owner = {F_OWNER_PID, getpid()};
  REQUIRE_SYSCALL(fcntl(plain[0], F_SETOWN_EX, &owner));
  REQUIRE_SYSCALL(fcntl(plain[0], F_SETSIG, SIGUSR2));
  const int send_buffer = Get(pair[0], SO_SNDBUF), usual = Get(plain[0], SO_SNDBUF);
  const int receive_buffer = Get(pair[0], SO_RCVBUF);
  Checkpoint();
  for (int i = 0; i < kCount; ++i) {
    EXPECT_EQ(1, Get(pair[0], kSwitches[i]));
    EXPECT_EQ(0, Get(pair[1], kSwitches[i]));
  }
  EXPECT_EQ(send_buffer, Get(pair[0], SO_SNDBUF));
  EXPECT_EQ(receive_buffer, Get(pair[0], SO_RCVBUF));
  EXPECT_EQ(3, Get(pair[0], 72 /* SO_BUF_LOCK */));
  EXPECT_EQ(usual, Get(pair[1], SO_SNDBUF));
  EXPECT_EQ(0, Get(pair[1], 72 /* SO_BUF_LOCK */));
  EXPECT_EQ(17, Get(pair[0], SO_RCVLOWAT));
  EXPECT_EQ(1, Get(pair[1], SO_RCVLOWAT));
  EXPECT_EQ(3, Get(pair[0], SO_PRIORITY));
  EXPECT_EQ(2500000, GetTime(pair[0], SO_SNDTIMEO));
  EXPECT_EQ(3000000, GetTime(pair[0], SO_RCVTIMEO));
  EXPECT_EQ(0, GetTime(pair[1], SO_RCVTIMEO));
  struct linger lingers = {0, 0};
  socklen_t size = sizeof(lingers);
  EXPECT_EQ(0, getsockopt(pair[0], SOL_SOCKET, SO_LINGER, &lingers, &size));
  EXPECT_EQ(1, lingers.l_onoff);
  EXPECT_EQ(9, lingers.l_linger);
  EXPECT_RECEIVED("abcd", filtered[1]);
  send(filtered[0], "long", 4, 0);
  send(filtered[0], "longer", 6, 0);
  EXPECT_RECEIVED("long", filtered[1]);
  EXPECT_NOTHING(filtered[1]);
  struct f_owner_ex owned = {0, 0};
  EXPECT_EQ(0, fcntl(plain[0], F_GETOWN_EX, &owned));
  EXPECT_EQ(F_OWNER_PID, owned.type);
  EXPECT_EQ(getpid(), owned.pid);
  EXPECT_EQ(SIGUSR2, fcntl(plain[0], F_GETSIG));
  Pass();
}
