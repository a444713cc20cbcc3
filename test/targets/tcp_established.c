/* Connections of TCP with both ends in one process: of both families and of one within the other,
 * with bytes in both queues, more of them than the other end has room for, and with options. */
#include "test/targets/tcp_pair.h"

int main(void) {
  int v4[2], v6[2], mapped[2], full[2], tuned[2];
  int listening = Listening("127.0.0.1", 5001, 5);
  ConnectedPair(listening, "127.0.0.1", 5001, v4);
  ConnectedPair(Listening("::1", 5002, 5), "::1", 5002, v6);
  ConnectedPair(Listening("::", 5003, 5), "127.0.0.1", 5003, mapped);
  const int numbers = FullPair(5004, full);
  ConnectedPair(listening, "127.0.0.1", 5001, tuned);
  SetOption(tuned[0], IPPROTO_TCP, TCP_NODELAY, 1);
  SetOption(tuned[0], SOL_SOCKET, SO_KEEPALIVE, 1);
  SetOption(tuned[0], IPPROTO_TCP, TCP_KEEPIDLE, 70);
  SetOption(tuned[1], IPPROTO_TCP, TCP_CORK, 1);
  Send(v4[0], "to who accepted");
  Send(v4[1], "to who connected");
  WaitForBytes(v4[0], strlen("to who connected"));
  WaitForBytes(v4[1], strlen("to who accepted"));
  char names[2][64];
  for (int i = 0; i < 2; ++i) strcpy(names[i], NameOf(v4[0], i == 1));
  Checkpoint();
  for (int i = 0; i < 2; ++i) EXPECT_STREQ(names[i], NameOf(v4[0], i == 1));
  EXPECT_RECEIVED("to who accepted", v4[1]);
  EXPECT_RECEIVED("to who connected", v4[0]);
  Talk(v4[0], v4[1]);
  Talk(v6[0], v6[1]);
  Talk(mapped[0], mapped[1]);
  ExpectNumbers(full[1], numbers);
  Talk(full[1], full[0]);
  EXPECT_EQ(1, GetOption(tuned[0], IPPROTO_TCP, TCP_NODELAY));
  EXPECT_EQ(0, GetOption(tuned[1], IPPROTO_TCP, TCP_NODELAY));
  EXPECT_EQ(1, GetOption(tuned[0], SOL_SOCKET, SO_KEEPALIVE));
  EXPECT_EQ(70, GetOption(tuned[0], IPPROTO_TCP, TCP_KEEPIDLE));
  EXPECT_EQ(1, GetOption(tuned[1], IPPROTO_TCP, TCP_CORK));
  SetOption(tuned[1], IPPROTO_TCP, TCP_CORK, 0);
  Talk(tuned[0], tuned[1]);
  close(v4[0]);
  char nothing;
  EXPECT_EQ(0, recv(v4[1], &nothing, 1, 0));
  AcceptAndTalk(listening, "127.0.0.1", 5001);
  Pass();
}
