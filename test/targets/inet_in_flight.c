/* A connection that nobody has accepted yet, and a datagram: a dump by --skip-in-flight leaves them
 * out, and where nothing was restored they still wait. */
#include <sys/wait.h>

#include "test/targets/inet_socket.h"

static void WaitFor(int fd) {
  struct pollfd waiting = {.fd = fd, .events = POLLIN};
  REQUIRE(poll(&waiting, 1, 5000) == 1);
}

int main(void) {
  int listening = Listening("127.0.0.1", 5001, 5);
  int server = Bound("127.0.0.1", SOCK_DGRAM, 0, 6001);
  const pid_t child = REQUIRE_SYSCALL(fork());
  if (child == 0) {
    /* No child of the target: the connection's other end is not part of the dump. Nor does it keep
     * the target's session from being made again. */
    if (REQUIRE_SYSCALL(fork()) != 0) _exit(0);
    REQUIRE_SYSCALL(setsid());
    close(listening);
    Connected("127.0.0.1", SOCK_STREAM, 0, 5001);
    SendTo(server, "hello", "127.0.0.1", 6001);
    close(server);
    for (;;) pause();
  }
  REQUIRE(waitpid(child, NULL, 0) == child);
  WaitFor(listening);
  WaitFor(server);
  fcntl(listening, F_SETFL, O_NONBLOCK);
  if (Checkpoint() == kResumed) {
    EXPECT(accept(listening, NULL, NULL) >= 0);
    EXPECT_RECEIVED("hello", server);
  }
  EXPECT_EQ(-1, accept(listening, NULL, NULL));
  EXPECT_EQ(EAGAIN, errno);
  EXPECT_NOTHING(server);
  fcntl(listening, F_SETFL, 0);
  AcceptAndTalk(listening, "127.0.0.1", 5001);
  SendTo(server, "again", "127.0.0.1", 6001);
  EXPECT_RECEIVED("again", server);
  Pass();
}
