/* UDP and UDP-Lite: bound, connected, both, and neither; of both families, and of one within the
 * other. */
#include "test/targets/inet_socket.h"

enum { kCount = 4 };
static const struct {
  const char* server;
  const char* client; /* connects there */
  int protocol;
} kKinds[kCount] = {{"127.0.0.1", "127.0.0.1", IPPROTO_UDP},
                    {"::1", "::1", IPPROTO_UDP},
                    {"0.0.0.0", "::ffff:127.0.0.1", IPPROTO_UDP},
                    {"127.0.0.1", "127.0.0.1", IPPROTO_UDPLITE}};

int main(void) {
  int servers[kCount], clients[kCount];
  char names[kCount][64];
  for (int i = 0; i < kCount; ++i) {
    servers[i] = Bound(kKinds[i].server, SOCK_DGRAM, kKinds[i].protocol, 6001 + i);
    clients[i] = Connected(kKinds[i].client, SOCK_DGRAM, kKinds[i].protocol, 6001 + i);
    strcpy(names[i], NameOf(clients[i], false));
  }
  int fixed = Bound("127.0.0.1", SOCK_DGRAM, 0, 6010);
  REQUIRE(ConnectTo(fixed, "127.0.0.1", 6001) == 0);
  int fresh = NewSocket("0.0.0.0", SOCK_DGRAM, 0), fresh6 = NewSocket("::", SOCK_DGRAM, 0);
  int shared[2];
  for (int i = 0; i < 2; ++i) {
    shared[i] = NewSocket("0.0.0.0", SOCK_DGRAM, 0);
    SetOption(shared[i], SOL_SOCKET, SO_REUSEADDR, 1);
    REQUIRE(BindTo(shared[i], "0.0.0.0", 6011) == 0);
  }
  Checkpoint();
  for (int i = 0; i < kCount; ++i) {
    EXPECT_NAME(names[i], clients[i]);
    EXPECT_NOTHING(servers[i]);
    Send(clients[i], "hello");
    EXPECT_RECEIVED("hello", servers[i]);
    EXPECT_EQ(kKinds[i].protocol, GetOption(servers[i], SOL_SOCKET, SO_PROTOCOL));
    EXPECT_PEER("", servers[i]);
  }
  EXPECT_NAME("127.0.0.1 6010", fixed);
  EXPECT_PEER("127.0.0.1 6001", fixed);
  SendTo(fresh, "stranger", "127.0.0.1", 6010);
  EXPECT_NOTHING(fixed);
  SendTo(servers[0], "known", "127.0.0.1", 6010);
  EXPECT_RECEIVED("known", fixed);
  SendTo(fresh6, "six", "::1", 6002);
  EXPECT_RECEIVED("six", servers[1]);
  for (int i = 0; i < 2; ++i) {
    EXPECT_NAME("0.0.0.0 6011", shared[i]);
    EXPECT_EQ(1, GetOption(shared[i], SOL_SOCKET, SO_REUSEADDR));
  }
  Pass();
}
