/* Connected streams: a pair with bytes waiting both ways, more of them than one buffer holds,
 * dup'ed, in non-blocking mode; and a pair that a child has the other end of. */
#include <sys/wait.h>

#include "test/targets/unix_socket.h"

enum { kMany = 150000 };

int main(void) {
  int pair[2], many[2], family[2];
  Pair(SOCK_STREAM | SOCK_CLOEXEC, pair);
  Pair(SOCK_STREAM | SOCK_NONBLOCK, many);
  Pair(SOCK_STREAM, family);
  int copy = REQUIRE_SYSCALL(dup(pair[0]));
  Send(pair[0], "hello");
  Send(pair[1], "to ");
  Send(pair[1], "you");
  char* sent = Map(kMany);
  Fill(sent, kMany, 7);
  for (int at = 0; at < kMany; at += 5000) REQUIRE(send(many[0], sent + at, 5000, 0) == 5000);
  pid_t child = REQUIRE_SYSCALL(fork());
  if (child == 0) {
    char word[8] = "";
    close(family[0]);
    Send(family[1], "up");
    while (read(family[1], word, sizeof(word)) > 0) Send(family[1], word);
    _exit(7);
  }
  close(family[1]);
  Send(family[0], "x");
  struct pollfd answer = {.fd = family[0], .events = POLLIN};
  int waiting = 0;
  while (waiting < 3) {
    REQUIRE(poll(&answer, 1, -1) == 1);
    REQUIRE_SYSCALL(ioctl(family[0], FIONREAD, &waiting));
  }
  Checkpoint();
  EXPECT_EQ(FD_CLOEXEC, fcntl(pair[0], F_GETFD));
  EXPECT_EQ(0, fcntl(many[0], F_GETFD));
  EXPECT_EQ(O_RDWR, fcntl(pair[1], F_GETFL));
  EXPECT_EQ(O_RDWR | O_NONBLOCK, fcntl(many[1], F_GETFL));
  EXPECT_RECEIVED("to you", copy);
  EXPECT_RECEIVED("hello", pair[1]);
  EXPECT_NOTHING(pair[0]);
  Send(copy, "on");
  EXPECT_RECEIVED("on", pair[1]);
  char* got = Map(kMany);
  for (int at = 0; at < kMany;) {
    ssize_t size = read(many[1], got + at, kMany - at);
    EXPECT(size > 0);
    at += size;
  }
  ExpectFilled("what waited", got, kMany, 7);
  EXPECT_NOTHING(many[1]);
  EXPECT_RECEIVED("upx", family[0]);
  Send(family[0], "again");
  EXPECT_EQ(1, poll(&answer, 1, 10000));
  EXPECT_RECEIVED("again", family[0]);
  close(family[0]);
  int status;
  EXPECT_EQ(child, waitpid(child, &status, 0));
  EXPECT_EQ(7, WEXITSTATUS(status));
  Pass();
}
