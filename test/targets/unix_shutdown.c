/* Connections of which one direction or both are shut down, with bytes that were sent before; and
 * those whose other end is closed. */
#include "test/targets/unix_socket.h"

static const int kTypes[] = {SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM};

static void ExpectEnd(int fd) {
  char byte;
  EXPECT_EQ(0, recv(fd, &byte, 1, MSG_DONTWAIT));
}

static void ExpectBroken(int fd) {
  EXPECT_EQ(-1, send(fd, "x", 1, MSG_NOSIGNAL));
  EXPECT_EQ(EPIPE, errno);
}

int main(void) {
  int reads[3][2], writes[3][2], both[3][2], closed[2][2];
  for (int i = 0; i < 3; ++i) {
    Pair(kTypes[i], reads[i]);
    Pair(kTypes[i], writes[i]);
    Pair(kTypes[i], both[i]);
    Send(reads[i][1], "before");
    Send(writes[i][0], "before");
    Send(both[i][1], "before");
    REQUIRE_SYSCALL(shutdown(reads[i][0], SHUT_RD));
    REQUIRE_SYSCALL(shutdown(writes[i][0], SHUT_WR));
    REQUIRE_SYSCALL(shutdown(both[i][0], SHUT_RDWR));
  }
  for (int i = 0; i < 2; ++i) {
    Pair(kTypes[i], closed[i]);
    Send(closed[i][1], "last");
    close(closed[i][1]);
  }
  Checkpoint();
  for (int i = 0; i < 3; ++i) {
    EXPECT_RECEIVED("before", reads[i][0]);
    EXPECT_RECEIVED("before", writes[i][1]);
    EXPECT_RECEIVED("before", both[i][0]);
    ExpectBroken(reads[i][1]);
    ExpectBroken(writes[i][0]);
    ExpectBroken(both[i][0]);
    Send(reads[i][0], "on");
    EXPECT_RECEIVED("on", reads[i][1]);
    Send(writes[i][1], "on");
    EXPECT_RECEIVED("on", writes[i][0]);
    if (kTypes[i] == SOCK_DGRAM) continue;
    ExpectEnd(reads[i][0]);
    ExpectEnd(writes[i][1]);
    ExpectEnd(both[i][0]);
    ExpectEnd(both[i][1]);
  }
  for (int i = 0; i < 2; ++i) {
    EXPECT_RECEIVED("last", closed[i][0]);
    ExpectEnd(closed[i][0]);
    ExpectBroken(closed[i][0]);
  }
  Pass();
}
