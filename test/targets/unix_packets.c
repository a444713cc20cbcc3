/* Packets that wait: of datagram and packet pairs, with empty ones among them, and of a named
 * server whose clients are connected by its name. */
#include "test/targets/unix_socket.h"

enum { kLarge = 60000 };

static void ExpectFrom(int fd, const char* text, const char* name) {
  char got[64] = "";
  struct sockaddr_un from = {0};
  socklen_t size = sizeof(from);
  EXPECT_EQ(strlen(text), recvfrom(fd, got, 63, MSG_DONTWAIT, (struct sockaddr*)&from, &size));
  EXPECT_STREQ(text, got);
  EXPECT_STREQ(name, size > sizeof(sa_family_t) ? from.sun_path : "");
}

int main(void) {
  int datagrams[2], packets[2], large[2];
  Pair(SOCK_DGRAM, datagrams);
  Pair(SOCK_SEQPACKET, packets);
  Pair(SOCK_SEQPACKET, large);
  for (int i = 0; i < 2; ++i) {
    int* pair = i == 0 ? datagrams : packets;
    Send(pair[0], "");
    Send(pair[0], "one");
    Send(pair[0], "");
    Send(pair[0], "");
    Send(pair[0], "three");
    Send(pair[1], "back");
  }
  char* sent = Map(kLarge);
  Fill(sent, kLarge, 5);
  REQUIRE(send(large[0], sent, kLarge, 0) == kLarge);
  Send(large[0], "small");
  int server = Bound(SOCK_DGRAM, "server");
  int first = Connected(SOCK_DGRAM, "server"), second = Connected(SOCK_DGRAM, "server");
  Send(second, "from the second");
  Send(first, "from the first");
  /* Each is connected to the other, by name. */
  const char* abstract = UniqueName();
  int left = Bound(SOCK_DGRAM, "left"), right = Bound(SOCK_DGRAM, abstract);
  REQUIRE(ConnectTo(left, abstract) == 0 && ConnectTo(right, "left") == 0);
  Send(left, "to the right");
  int itself = Bound(SOCK_DGRAM, "itself");
  REQUIRE(ConnectTo(itself, "itself") == 0);
  Send(itself, "to itself");
  Checkpoint();
  for (int i = 0; i < 2; ++i) {
    int* pair = i == 0 ? datagrams : packets;
    EXPECT_RECEIVED("", pair[1]);
    EXPECT_RECEIVED("one", pair[1]);
    EXPECT_RECEIVED("", pair[1]);
    EXPECT_RECEIVED("", pair[1]);
    EXPECT_RECEIVED("three", pair[1]);
    EXPECT_NOTHING(pair[1]);
    EXPECT_RECEIVED("back", pair[0]);
    Send(pair[1], "more");
    EXPECT_RECEIVED("more", pair[0]);
  }
  char* got = Map(kLarge);
  EXPECT_EQ(kLarge, recv(large[1], got, kLarge, MSG_DONTWAIT));
  ExpectFilled("the large packet", got, kLarge, 5);
  EXPECT_RECEIVED("small", large[1]);
  ExpectFrom(server, "from the second", "");
  ExpectFrom(server, "from the first", "");
  Send(first, "again");
  EXPECT_RECEIVED("again", server);
  EXPECT_STREQ("server", NameOf(server));
  int third = NewSocket(SOCK_DGRAM);
  EXPECT_EQ(0, ConnectTo(third, "server"));
  Send(third, "new");
  EXPECT_RECEIVED("new", server);
  ExpectFrom(right, "to the right", "left");
  Send(right, "to the left");
  EXPECT_RECEIVED("to the left", left);
  EXPECT_RECEIVED("to itself", itself);
  Send(itself, "again");
  EXPECT_RECEIVED("again", itself);
  /* Peeking is off, as it was. */
  int offset = 0;
  socklen_t size = sizeof(offset);
  EXPECT_EQ(0, getsockopt(datagrams[1], SOL_SOCKET, SO_PEEK_OFF, &offset, &size));
  EXPECT_EQ(-1, offset);
  Pass();
}
