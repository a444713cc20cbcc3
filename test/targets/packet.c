/* Packet sockets (packet(7)). */
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/socket.h>

#include "test/targets/target.h"

static int NewSocket(int type, int protocol) {
  return REQUIRE_SYSCALL(socket(AF_PACKET, type, htons(protocol)));
}
static void Set(int fd, int option, int value) {
  REQUIRE_SYSCALL(setsockopt(fd, SOL_PACKET, option, &value, sizeof(value)));
}
static int Get(int fd, int option) {
  int value = -1;
  socklen_t size = sizeof(value);
  EXPECT_EQ(0, getsockopt(fd, SOL_PACKET, option, &value, &size));
  return value;
}
static void BindTo(int fd, int device, int protocol) {
  struct sockaddr_ll address = {
      .sll_family = AF_PACKET, .sll_protocol = htons(protocol), .sll_ifindex = device};
  REQUIRE_SYSCALL(bind(fd, (struct sockaddr*)&address, sizeof(address)));
}
static void ExpectName(int fd, int device, int protocol) {
  struct sockaddr_ll address = {0};
  socklen_t size = sizeof(address);
  EXPECT_EQ(0, getsockname(fd, (struct sockaddr*)&address, &size));
  EXPECT_EQ(device, address.sll_ifindex);
  EXPECT_EQ(htons(protocol), address.sll_protocol);
}

int main(void) {
  const int loopback = if_nametoindex("lo");
  int raw = NewSocket(SOCK_RAW, 0), cooked = NewSocket(SOCK_DGRAM, 0),
      ring = NewSocket(SOCK_RAW, 0);
  BindTo(raw, loopback, 0x88b5);
  BindTo(cooked, 0, 0x88b6);
  Set(raw, PACKET_AUXDATA, 1);
  Set(raw, PACKET_LOSS, 1);
  Set(raw, PACKET_RESERVE, 16);
  Set(cooked, PACKET_ORIGDEV, 1);
  Set(cooked, PACKET_VERSION, TPACKET_V2);
  struct packet_mreq promiscuous = {.mr_ifindex = loopback, .mr_type = PACKET_MR_PROMISC};
  REQUIRE_SYSCALL(
      setsockopt(raw, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promiscuous, sizeof(promiscuous)));
  struct tpacket_req request = {4096, 4, 2048, 8};
  Set(ring, PACKET_VERSION, TPACKET_V2);
  REQUIRE_SYSCALL(setsockopt(ring, SOL_PACKET, PACKET_RX_RING, &request, sizeof(request)));
  Checkpoint();
  ExpectName(raw, loopback, 0x88b5);
  ExpectName(cooked, 0, 0x88b6);
  EXPECT_EQ(1, Get(raw, PACKET_AUXDATA));
  EXPECT_EQ(1, Get(raw, PACKET_LOSS));
  EXPECT_EQ(16, Get(raw, PACKET_RESERVE));
  EXPECT_EQ(1, Get(cooked, PACKET_ORIGDEV));
  EXPECT_EQ(TPACKET_V2, Get(cooked, PACKET_VERSION));
  EXPECT_EQ(TPACKET_V2, Get(ring, PACKET_VERSION));
  Pass();
}
