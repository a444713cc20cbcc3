/* Connections of TCP whose other ends are held by a process that is not part of the dump: what
 * waited there and here comes through, and what was said meanwhile. */
#include "test/targets/tcp_pair.h"

/* Says its own, and from then on whatever it hears. The second connection it does not read. */
static void Echo(void) {
  int heard = Connected("127.0.0.1", SOCK_STREAM, 0, 5001);
  int deaf = NewSocket("127.0.0.1", SOCK_STREAM, 0);
  SetOption(deaf, SOL_SOCKET, SO_RCVBUF, 4096);
  REQUIRE(ConnectTo(deaf, "127.0.0.1", 5001) == 0);
  Send(heard, "early");
  for (char byte; recv(heard, &byte, 1, 0) == 1;) {
    if (byte != '!') REQUIRE(send(heard, &byte, 1, MSG_NOSIGNAL) == 1);
    if (byte != '!') continue;
    /* Now it shall listen to the other one: how many zeros are there before the one? */
    char zero = 0;
    uint32_t count = 0;
    while (recv(deaf, &zero, 1, 0) == 1 && zero == 0) ++count;
    REQUIRE(send(deaf, &count, sizeof(count), MSG_NOSIGNAL) == sizeof(count));
  }
}

static uint32_t FillWithZeros(int fd) {
  static char zeros[4096];
  uint32_t bytes = 0;
  for (ssize_t sent; (sent = send(fd, zeros, sizeof(zeros), MSG_DONTWAIT)) > 0;) bytes += sent;
  return bytes;
}

int main(void) {
  int listening = Listening("127.0.0.1", 5001, 5);
  Outside(Echo);
  int heard = REQUIRE_SYSCALL(accept(listening, NULL, NULL));
  int deaf = REQUIRE_SYSCALL(accept(listening, NULL, NULL));
  WaitForBytes(heard, strlen("early"));
  SetOption(deaf, SOL_SOCKET, SO_SNDBUF, 30000);
  uint32_t zeros = FillWithZeros(deaf);
  REQUIRE(zeros > 30000);
  WaitUntilSettled(deaf);
  Checkpoint();
  EXPECT_RECEIVED("early", heard);
  for (int i = 0; i < 3; ++i) {
    Send(heard, "hello");
    EXPECT_RECEIVED("hello", heard);
  }
  Send(heard, "!");
  uint32_t count = 0;
  Send(deaf, "1");
  EXPECT_EQ(sizeof(count), recv(deaf, &count, sizeof(count), MSG_WAITALL));
  EXPECT_EQ(zeros, count);
  Send(heard, "still here");
  EXPECT_RECEIVED("still here", heard);
  Pass();
}
