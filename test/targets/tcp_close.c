/* Connections that a dump by --tcp-close leaves out: they are closed where they were restored. */
#include "test/targets/tcp_pair.h"

static void Connect(void) {
  Connected("127.0.0.1", SOCK_STREAM, 0, 5001);
  Connected("127.0.0.1", SOCK_STREAM, 0, 5001);
}

int main(void) {
  int listening = NewSocket("127.0.0.1", SOCK_STREAM, 0);
  /* As servers do, for what was closed holds the port for a minute. */
  SetOption(listening, SOL_SOCKET, SO_REUSEADDR, 1);
  REQUIRE(BindTo(listening, "127.0.0.1", 5001) == 0);
  REQUIRE_SYSCALL(listen(listening, 5));
  Outside(Connect);
  int open = REQUIRE_SYSCALL(accept(listening, NULL, NULL));
  int half = REQUIRE_SYSCALL(accept(listening, NULL, NULL));
  REQUIRE_SYSCALL(shutdown(half, SHUT_WR));
  if (Checkpoint() == kResumed) {
    EXPECT_EQ(TCP_ESTABLISHED, StateOf(open));
    Send(open, "still there");
    EXPECT(StateOf(half) == TCP_FIN_WAIT1 || StateOf(half) == TCP_FIN_WAIT2);
    Pass();
  }
  const int closed[] = {open, half};
  for (int i = 0; i < 2; ++i) {
    char nothing;
    EXPECT_EQ(0, recv(closed[i], &nothing, 1, MSG_DONTWAIT));
    EXPECT_EQ(-1, send(closed[i], "x", 1, MSG_NOSIGNAL));
    EXPECT_EQ(EPIPE, errno);
  }
  AcceptAndTalk(listening, "127.0.0.1", 5001);
  Pass();
}
