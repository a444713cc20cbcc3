/* A pipe in packet mode. Packets that wait in it are refused (test/refusal): no restore puts their
 * bounds back. */
#include "test/targets/target.h"

int main(void) {
  int fds[2];
  REQUIRE(pipe2(fds, O_DIRECT | O_NONBLOCK) == 0);
  static const char* const kPackets[] = {"one", "twenty-two", "3", "the fourth packet"};
  Checkpoint();
  EXPECT_EQ(O_DIRECT, fcntl(fds[1], F_GETFL) & O_DIRECT);
  for (int i = 0; i < 4; ++i) {
    REQUIRE(write(fds[1], kPackets[i], strlen(kPackets[i])) == (ssize_t)strlen(kPackets[i]));
  }
  for (int i = 0; i < 4; ++i) {
    char packet[4096] = "";
    EXPECT_EQ(strlen(kPackets[i]), read(fds[0], packet, sizeof(packet)));
    EXPECT_STREQ(kPackets[i], packet);
  }
  char rest;
  EXPECT_EQ(-1, read(fds[0], &rest, 1));
  EXPECT_EQ(EAGAIN, errno);
  Pass();
}
