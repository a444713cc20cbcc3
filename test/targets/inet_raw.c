/* Raw sockets of both families (raw(7), icmp(7)): bound, with filters and checksums. */
#include <linux/icmp.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>

#include "test/targets/inet_socket.h"

enum { kProtocol = 253 }; /* for experiments */

/* The last of what has come in, behind an IPv4 header. */
static void ExpectPacket(int fd, const char* text) {
  char packet[256] = "";
  struct pollfd waiting = {.fd = fd, .events = POLLIN};
  EXPECT_EQ(1, poll(&waiting, 1, 1000));
  const ssize_t size = recv(fd, packet, sizeof(packet) - 1, 0);
  EXPECT_EQ(sizeof(struct iphdr) + strlen(text), size);
  EXPECT_STREQ(text, packet + sizeof(struct iphdr));
}

static uint32_t FilterOf(int fd) {
  struct icmp_filter filter = {0};
  socklen_t size = sizeof(filter);
  EXPECT_EQ(0, getsockopt(fd, SOL_RAW, ICMP_FILTER, &filter, &size));
  return filter.data;
}

int main(void) {
  int bound = Bound("127.0.0.1", SOCK_RAW, kProtocol, 0);
  int icmp = NewSocket("0.0.0.0", SOCK_RAW, IPPROTO_ICMP);
  const struct icmp_filter filter = {~(1u << ICMP_ECHOREPLY)};
  REQUIRE_SYSCALL(setsockopt(icmp, SOL_RAW, ICMP_FILTER, &filter, sizeof(filter)));
  int headers = NewSocket("0.0.0.0", SOCK_RAW, IPPROTO_RAW);
  int own_headers = NewSocket("0.0.0.0", SOCK_RAW, kProtocol);
  SetOption(own_headers, IPPROTO_IP, IP_HDRINCL, 1);
  SetOption(own_headers, IPPROTO_IP, IP_NODEFRAG, 1);
  int icmp6 = NewSocket("::", SOCK_RAW, IPPROTO_ICMPV6);
  struct icmp6_filter filter6;
  ICMP6_FILTER_SETBLOCKALL(&filter6);
  ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &filter6);
  REQUIRE_SYSCALL(setsockopt(icmp6, IPPROTO_ICMPV6, ICMP6_FILTER, &filter6, sizeof(filter6)));
  Checkpoint();
  EXPECT_EQ(kProtocol, GetOption(bound, SOL_SOCKET, SO_PROTOCOL));
  EXPECT_NAME("127.0.0.1 253", bound);
  SendTo(NewSocket("127.0.0.1", SOCK_RAW, kProtocol), "x", "127.0.0.1", 0);
  ExpectPacket(bound, "x");
  EXPECT_EQ(filter.data, FilterOf(icmp));
  EXPECT_EQ(1, GetOption(headers, IPPROTO_IP, IP_HDRINCL));
  EXPECT_EQ(1, GetOption(own_headers, IPPROTO_IP, IP_HDRINCL));
  EXPECT_EQ(1, GetOption(own_headers, IPPROTO_IP, IP_NODEFRAG));
  EXPECT_EQ(0, GetOption(bound, IPPROTO_IP, IP_HDRINCL));
  struct icmp6_filter got;
  socklen_t size = sizeof(got);
  EXPECT_EQ(0, getsockopt(icmp6, IPPROTO_ICMPV6, ICMP6_FILTER, &got, &size));
  EXPECT_EQ(0, memcmp(&got, &filter6, sizeof(got)));
  Pass();
}
