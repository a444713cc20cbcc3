#include "dump/sk/inet_options.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include <span>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dumpctl {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr InetSocketType kTypes[] = {
    {AF_INET, SOCK_STREAM, IPPROTO_TCP},    {AF_INET6, SOCK_STREAM, IPPROTO_TCP},
    {AF_INET, SOCK_DGRAM, IPPROTO_UDP},     {AF_INET6, SOCK_DGRAM, IPPROTO_UDP},
    {AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE}, {AF_INET6, SOCK_DGRAM, IPPROTO_UDPLITE}};
constexpr InetSocketType kRawTypes[] = {{AF_INET, SOCK_RAW, IPPROTO_ICMP},
                                        {AF_INET6, SOCK_RAW, IPPROTO_ICMPV6},
                                        {AF_INET, SOCK_RAW, 253}};

UniqueFd Make(const InetSocketType& type) {
  return UniqueFd(socket(type.family, type.type, type.protocol));
}

void Set(const UniqueFd& fd, int level, int option, int value) {
  ASSERT_EQ(setsockopt(fd.get(), level, option, &value, sizeof value), 0) << option;
}

InetOptions Read(const UniqueFd& fd, const InetSocketType& type, bool connected = false) {
  InetOptionReader reader;
  auto options = reader.Read(BorrowedFd(fd), type, connected);
  EXPECT_TRUE(options.ok()) << options.status();
  return options.value_or(InetOptions());
}

TEST(InetOptionsTest, NewSocketsHaveLostNothing) {
  for (const InetSocketType& type : kTypes) {
    const InetOptions options = Read(Make(type), type);
    EXPECT_THAT(options.lost, IsEmpty()) << type.family << " " << type.protocol;
    EXPECT_FALSE(options.foreign);
    EXPECT_FALSE(options.corked);
    EXPECT_EQ(options.v6only.has_value(), type.family == AF_INET6);
    EXPECT_EQ(options.tcp.has_keepidle(), type.protocol == IPPROTO_TCP);
  }
}

TEST(InetOptionsTest, HavePlaces) {
  const UniqueFd tcp = Make(kTypes[0]);
  Set(tcp, IPPROTO_IP, IP_TTL, 5);
  Set(tcp, IPPROTO_IP, IP_TOS, 8);
  Set(tcp, IPPROTO_IP, IP_FREEBIND, 1);
  Set(tcp, IPPROTO_TCP, TCP_NODELAY, 1);
  Set(tcp, IPPROTO_TCP, TCP_KEEPCNT, 3);
  const InetOptions options = Read(tcp, kTypes[0]);
  EXPECT_THAT(options.lost, IsEmpty());
  EXPECT_EQ(options.ip.ttl(), 5);
  EXPECT_EQ(options.ip.tos(), 8);
  EXPECT_TRUE(options.ip.freebind());
  EXPECT_FALSE(options.ip.has_pktinfo());
  EXPECT_TRUE(options.tcp.nodelay());
  EXPECT_FALSE(options.tcp.has_cork());
  EXPECT_EQ(options.tcp.keepcnt(), 3);
}

TEST(InetOptionsTest, NamesWhatHasNoPlace) {
  const UniqueFd tcp = Make(kTypes[1]);
  Set(tcp, IPPROTO_TCP, TCP_USER_TIMEOUT, 9);
  Set(tcp, IPPROTO_TCP, TCP_MAXSEG, 700);
  Set(tcp, IPPROTO_IPV6, IPV6_TCLASS, 4);
  EXPECT_THAT(Read(tcp, kTypes[1]).lost,
              ElementsAre("IPV6_TCLASS", "TCP_MAXSEG", "TCP_USER_TIMEOUT"));
  EXPECT_THAT(Read(tcp, kTypes[1], true).lost, ElementsAre("IPV6_TCLASS", "TCP_USER_TIMEOUT"));
}

TEST(InetOptionsTest, KnowsRawSockets) {
  if (!Make(kRawTypes[0])) GTEST_SKIP() << "CAP_NET_RAW is needed";
  const int words[] = {1, 8, 0};
  for (size_t i = 0; i < std::size(kRawTypes); ++i) {
    const UniqueFd fd = Make(kRawTypes[i]);
    EXPECT_THAT(Read(fd, kRawTypes[i]).lost, IsEmpty());
    EXPECT_EQ(Read(fd, kRawTypes[i]).ip.raw().icmpv_filter_size(), words[i]);
    EXPECT_FALSE(Read(fd, kRawTypes[i]).ip.raw().hdrincl());
  }
  const UniqueFd checked = Make(kRawTypes[2]);
  Set(checked, IPPROTO_IP, IP_CHECKSUM, 1);
  Set(checked, IPPROTO_IP, IP_HDRINCL, 1);
  EXPECT_THAT(Read(checked, kRawTypes[2]).lost, ElementsAre("IP_CHECKSUM"));
  EXPECT_TRUE(Read(checked, kRawTypes[2]).ip.raw().hdrincl());
}

TEST(InetOptionsTest, KnowsDatagrams) {
  for (const InetSocketType& type : std::span(kTypes).subspan(2)) {
    const UniqueFd fd = Make(type);
    Set(fd, type.protocol, UDP_CORK, 1);
    if (type.family == AF_INET) Set(fd, IPPROTO_IP, IP_MULTICAST_TTL, 3);
    EXPECT_TRUE(Read(fd, type).corked);
    EXPECT_EQ(Read(fd, type).lost.size(), type.family == AF_INET ? 1 : 0);
  }
  const UniqueFd lite = Make(kTypes[4]);
  Set(lite, IPPROTO_UDPLITE, 10, 12);
  EXPECT_THAT(Read(lite, kTypes[4]).lost, ElementsAre("UDPLITE_SEND_CSCOV"));
}

}  // namespace
}  // namespace dumpctl
