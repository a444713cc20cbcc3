/* Listening sockets of TCP: of both families, one for both, and several for one port; and such as
 * are bound or made and no more. */
#include "test/targets/inet_socket.h"

static int Tuned(const char* text, int port, int level, int option, int value) {
  int fd = NewSocket(text, SOCK_STREAM, 0);
  SetOption(fd, level, option, value);
  REQUIRE((errno = BindTo(fd, text, port)) == 0);
  REQUIRE_SYSCALL(listen(fd, 5));
  return fd;
}

static int BoundToDevice(int port) {
  int fd = NewSocket("0.0.0.0", SOCK_STREAM, 0);
  REQUIRE_SYSCALL(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 2));
  REQUIRE((errno = BindTo(fd, "0.0.0.0", port)) == 0);
  REQUIRE_SYSCALL(listen(fd, 5));
  return fd;
}

static void ExpectListening(int fd, const char* name, int backlog) {
  EXPECT_EQ(1, GetOption(fd, SOL_SOCKET, SO_ACCEPTCONN));
  EXPECT_NAME(name, fd);
  struct tcp_info info;
  socklen_t size = sizeof(info);
  EXPECT_EQ(0, getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size));
  EXPECT_EQ(backlog, info.tcpi_sacked);
}

int main(void) {
  int v4 = Listening("127.0.0.1", 5001, 1);
  int v6 = Listening("::1", 5002, 7);
  int both = Listening("::", 5003, 5);
  int only = Tuned("::", 5004, IPPROTO_IPV6, IPV6_V6ONLY, 1);
  int beside = Listening("0.0.0.0", 5004, 5);
  int shared[2];
  for (int i = 0; i < 2; ++i) shared[i] = Tuned("127.0.0.1", 5005, SOL_SOCKET, SO_REUSEPORT, 1);
  int again = Tuned("127.0.0.1", 5006, SOL_SOCKET, SO_REUSEADDR, 1);
  int device = BoundToDevice(5007);
  int bound = Bound("127.0.0.1", SOCK_STREAM, 0, 5008), bound6 = Bound("::1", SOCK_STREAM, 0, 5009);
  int fresh = NewSocket("0.0.0.0", SOCK_STREAM, 0), fresh6 = NewSocket("::", SOCK_STREAM, 0);
  SetOption(v4, IPPROTO_TCP, TCP_NODELAY, 1);
  Checkpoint();
  ExpectListening(v4, "127.0.0.1 5001", 1);
  ExpectListening(v6, "::1 5002", 7);
  ExpectListening(both, ":: 5003", 5);
  ExpectListening(only, ":: 5004", 5);
  ExpectListening(beside, "0.0.0.0 5004", 5);
  for (int i = 0; i < 2; ++i) {
    ExpectListening(shared[i], "127.0.0.1 5005", 5);
    EXPECT_EQ(1, GetOption(shared[i], SOL_SOCKET, SO_REUSEPORT));
  }
  EXPECT_EQ(1, GetOption(again, SOL_SOCKET, SO_REUSEADDR));
  EXPECT_EQ(0, GetOption(v4, SOL_SOCKET, SO_REUSEADDR));
  EXPECT_EQ(1, GetOption(only, IPPROTO_IPV6, IPV6_V6ONLY));
  EXPECT_EQ(0, GetOption(both, IPPROTO_IPV6, IPV6_V6ONLY));
  char name[16] = "";
  socklen_t size = sizeof(name);
  EXPECT_EQ(0, getsockopt(device, SOL_SOCKET, SO_BINDTODEVICE, name, &size));
  EXPECT_STREQ("lo", name);
  EXPECT_EQ(1, GetOption(v4, IPPROTO_TCP, TCP_NODELAY));
  AcceptAndTalk(v4, "127.0.0.1", 5001);
  AcceptAndTalk(v6, "::1", 5002);
  AcceptAndTalk(both, "::1", 5003);
  AcceptAndTalk(both, "127.0.0.1", 5003);
  AcceptAndTalk(only, "::1", 5004);
  AcceptAndTalk(beside, "127.0.0.1", 5004);
  AcceptAndTalk(device, "127.0.0.1", 5007);
  /* Who wants it twice is told so, as before. */
  EXPECT_EQ(EADDRINUSE, BindTo(fresh, "127.0.0.1", 5001));
  EXPECT_EQ(0, BindTo(fresh, "127.0.0.1", 5010));
  EXPECT_EQ(0, ConnectTo(fresh6, "::1", 5003));
  EXPECT_NAME("127.0.0.1 5008", bound);
  EXPECT_NAME("::1 5009", bound6);
  EXPECT_EQ(0, listen(bound, 5));
  AcceptAndTalk(bound, "127.0.0.1", 5008);
  EXPECT_EQ(0, ConnectTo(bound6, "::1", 5002));
  EXPECT_PEER("::1 5009", accept(v6, NULL, NULL));
  Pass();
}
