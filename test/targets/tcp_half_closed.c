/* Connections of TCP that one end has closed, or both, or that read no more. */
#include "test/targets/tcp_pair.h"

static void ExpectEnd(int fd) {
  char nothing;
  EXPECT_EQ(0, recv(fd, &nothing, 1, 0));
}

static void ExpectNoWay(int fd) {
  EXPECT_EQ(-1, send(fd, "x", 1, MSG_NOSIGNAL));
  EXPECT_EQ(EPIPE, errno);
}

int main(void) {
  int listening = Listening("127.0.0.1", 5001, 5);
  int half[2], settled[2], both[2], deaf[2], full[2];
  ConnectedPair(listening, "127.0.0.1", 5001, half);
  Send(half[0], "last words");
  REQUIRE_SYSCALL(shutdown(half[0], SHUT_WR));
  WaitForState(half[0], TCP_FIN_WAIT2);
  ConnectedPair(listening, "127.0.0.1", 5001, settled);
  REQUIRE_SYSCALL(shutdown(settled[1], SHUT_WR));
  ExpectEnd(settled[0]);
  WaitForState(settled[1], TCP_FIN_WAIT2);
  Send(settled[0], "late");
  WaitForBytes(settled[1], strlen("late"));
  ConnectedPair(listening, "127.0.0.1", 5001, both);
  for (int i = 0; i < 2; ++i) REQUIRE_SYSCALL(shutdown(both[i], SHUT_WR));
  WaitForState(both[0], TCP_CLOSE);
  WaitForState(both[1], TCP_CLOSE);
  ConnectedPair(listening, "127.0.0.1", 5001, deaf);
  REQUIRE_SYSCALL(shutdown(deaf[1], SHUT_RD));
  /* The end waits behind bytes for which there is no room. */
  const int numbers = FullPair(5002, full);
  REQUIRE_SYSCALL(shutdown(full[0], SHUT_WR));
  EXPECT_EQ(TCP_FIN_WAIT1, StateOf(full[0]));
  Checkpoint();
  EXPECT_EQ(TCP_CLOSE_WAIT, StateOf(half[1]));
  ExpectNoWay(half[0]);
  EXPECT_RECEIVED("last words", half[1]);
  ExpectEnd(half[1]);
  /* What a restore makes of its end waits for a probe of its window. */
  Send(half[1], "and yet");
  for (int i = 0; i < 10 && QueuedIn(half[0]) == 0; ++i) SleepMs(500);
  EXPECT_RECEIVED("and yet", half[0]);
  close(half[1]);
  ExpectEnd(half[0]);
  EXPECT_RECEIVED("late", settled[1]);
  ExpectNoWay(settled[1]);
  ExpectEnd(settled[0]);
  close(settled[0]);
  ExpectEnd(settled[1]);
  for (int i = 0; i < 2; ++i) {
    ExpectEnd(both[i]);
    ExpectNoWay(both[i]);
  }
  ExpectEnd(deaf[1]);
  Send(deaf[1], "can speak");
  EXPECT_RECEIVED("can speak", deaf[0]);
  ExpectNumbers(full[1], numbers);
  ExpectEnd(full[1]);
  Send(full[1], "answer");
  EXPECT_RECEIVED("answer", full[0]);
  Pass();
}
