/* Options of internet sockets (socket(7), ip(7), ipv6(7), tcp(7)). */
#include <linux/filter.h>
#include <netinet/udp.h>

#include "test/targets/inet_socket.h"

static const struct {
  int level, option, value;
} kOfTcp[] = {{SOL_SOCKET, SO_KEEPALIVE, 1},   {SOL_SOCKET, SO_OOBINLINE, 1},
              {SOL_SOCKET, SO_DONTROUTE, 1},   {SOL_SOCKET, SO_RCVLOWAT, 17},
              {SOL_SOCKET, SO_MARK, 77},       {IPPROTO_TCP, TCP_KEEPIDLE, 70},
              {IPPROTO_TCP, TCP_KEEPINTVL, 7}, {IPPROTO_TCP, TCP_KEEPCNT, 4},
              {IPPROTO_TCP, TCP_NODELAY, 1},   {IPPROTO_TCP, TCP_CORK, 1},
              {IPPROTO_IP, IP_TOS, 0x10},      {IPPROTO_IP, IP_TTL, 33},
              {IPPROTO_IP, IP_FREEBIND, 1},    {SOL_SOCKET, SO_PRIORITY, 3}},
  kOfUdp[] = {{SOL_SOCKET, SO_BROADCAST, 1},
              {SOL_SOCKET, SO_NO_CHECK, 1},
              {IPPROTO_IP, IP_PKTINFO, 1}},
  kOfV6[] = {{IPPROTO_IPV6, IPV6_FREEBIND, 1}, {IPPROTO_IPV6, IPV6_RECVPKTINFO, 1}};
#define COUNT(list) (int)(sizeof(list) / sizeof((list)[0]))
#define SET(fd, list) \
  for (int i = 0; i < COUNT(list); ++i) SetOption(fd, list[i].level, list[i].option, list[i].value)
#define EXPECT_SET(fd, list)            \
  for (int i = 0; i < COUNT(list); ++i) \
  EXPECT_EQ(list[i].value, GetOption(fd, list[i].level, list[i].option))
#define EXPECT_ALIKE(fd, other, list)                     \
  for (int i = 0; i < COUNT(list); ++i)                   \
  EXPECT_EQ(GetOption(fd, list[i].level, list[i].option), \
            GetOption(other, list[i].level, list[i].option))

/* Of UDP: datagrams of more than four bytes are dropped. */
static void AttachFilter(int fd) {
  struct sock_filter filter[] = {{BPF_LD | BPF_W | BPF_LEN, 0, 0, 0},
                                 {BPF_JMP | BPF_JGT | BPF_K, 1, 0, sizeof(struct udphdr) + 4},
                                 {BPF_RET | BPF_K, 0, 0, 0xffff},
                                 {BPF_RET | BPF_K, 0, 0, 0}};
  const struct sock_fprog program = {4, filter};
  REQUIRE_SYSCALL(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)));
}

int main(void) {
  int tuned[3] = {NewSocket("0.0.0.0", SOCK_STREAM, 0), NewSocket("0.0.0.0", SOCK_DGRAM, 0),
                  NewSocket("::", SOCK_DGRAM, 0)};
  int plain[3] = {NewSocket("0.0.0.0", SOCK_STREAM, 0), NewSocket("0.0.0.0", SOCK_DGRAM, 0),
                  NewSocket("::", SOCK_DGRAM, 0)};
  SET(tuned[0], kOfTcp);
  SET(tuned[1], kOfUdp);
  SET(tuned[2], kOfV6);
  SetOption(tuned[0], SOL_SOCKET, SO_SNDBUF, 50000);
  SetOption(tuned[0], SOL_SOCKET, SO_RCVBUF, 40000);
  const struct linger linger = {1, 9};
  REQUIRE_SYSCALL(setsockopt(tuned[0], SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
  /* FREEBIND is for addresses that nobody has, which no restore binds to. */
  REQUIRE(BindTo(tuned[0], "127.0.0.7", 5001) == 0);
  REQUIRE(BindTo(tuned[2], "::1", 5002) == 0);
  int filtered = Bound("127.0.0.1", SOCK_DGRAM, 0, 6001);
  AttachFilter(filtered);
  Checkpoint();
  SendTo(plain[1], "dropped", "127.0.0.1", 6001);
  SendTo(plain[1], "kept", "127.0.0.1", 6001);
  EXPECT_RECEIVED("kept", filtered);
  EXPECT_SET(tuned[0], kOfTcp);
  EXPECT_SET(tuned[1], kOfUdp);
  EXPECT_SET(tuned[2], kOfV6);
  int fresh[3] = {NewSocket("0.0.0.0", SOCK_STREAM, 0), NewSocket("0.0.0.0", SOCK_DGRAM, 0),
                  NewSocket("::", SOCK_DGRAM, 0)};
  EXPECT_ALIKE(fresh[0], plain[0], kOfTcp);
  EXPECT_ALIKE(fresh[1], plain[1], kOfUdp);
  EXPECT_ALIKE(fresh[2], plain[2], kOfV6);
  EXPECT_EQ(100000, GetOption(tuned[0], SOL_SOCKET, SO_SNDBUF));
  EXPECT_EQ(80000, GetOption(tuned[0], SOL_SOCKET, SO_RCVBUF));
  EXPECT_EQ(GetOption(fresh[0], SOL_SOCKET, SO_SNDBUF), GetOption(plain[0], SOL_SOCKET, SO_SNDBUF));
  struct linger lingers = {0, 0};
  socklen_t size = sizeof(lingers);
  EXPECT_EQ(0, getsockopt(tuned[0], SOL_SOCKET, SO_LINGER, &lingers, &size));
  EXPECT_EQ(9, lingers.l_linger);
  EXPECT_NAME("127.0.0.7 5001", tuned[0]);
  EXPECT_NAME("::1 5002", tuned[2]);
  Pass();
}
