#include "dump/sk/inet_diag.h"

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cstddef>
#include <cstring>
#include <vector>

#include "dumpctl/unique_fd.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dumpctl {
namespace {

using testing::HasSubstr;

// A row as the kernel sends it.
class InetMessage {
 public:
  InetMessage(uint8_t family, uint8_t state, uint32_t inode) {
    head_.idiag_family = family;
    head_.idiag_state = state;
    head_.idiag_inode = inode;
    head_.idiag_rqueue = 3;
    head_.idiag_wqueue = 5;
    bytes_.resize(sizeof head_);
    std::memcpy(bytes_.data(), &head_, sizeof head_);
  }

  InetMessage& Add(uint16_t type, std::vector<uint8_t> value) {
    const nlattr head = {.nla_len = static_cast<uint16_t>(NLA_HDRLEN + value.size()),
                         .nla_type = type};
    const size_t end = bytes_.size();
    bytes_.resize(end + NLA_HDRLEN + NLA_ALIGN(value.size()));
    std::memcpy(&bytes_[end], &head, sizeof head);
    if (!value.empty()) std::memcpy(&bytes_[end + NLA_HDRLEN], value.data(), value.size());
    return *this;
  }

  std::vector<std::byte>& bytes() { return bytes_; }
  absl::StatusOr<InetSocketRow> Parse() const { return ParseInetDiag(bytes_); }

 private:
  inet_diag_msg head_ = {};
  std::vector<std::byte> bytes_;
};

TEST(ParseInetDiagTest, ReadsARow) {
  const auto row = InetMessage(AF_INET6, TCP_ESTABLISHED, 17)
                       .Add(INET_DIAG_SHUTDOWN, {2})
                       .Add(77, {1, 2, 3})
                       .Parse();
  ASSERT_TRUE(row.ok()) << row.status();
  const InetSocketRow expected = {.inode = 17,
                                  .family = AF_INET6,
                                  .state = TCP_ESTABLISHED,
                                  .receive_queue = 3,
                                  .send_queue = 5,
                                  .shutdown = 2};
  EXPECT_EQ(*row, expected);
}

TEST(ParseInetDiagTest, TellsSignatures) {
  EXPECT_FALSE(InetMessage(AF_INET, TCP_LISTEN, 17).Parse()->has_signatures);
  EXPECT_FALSE(
      InetMessage(AF_INET, TCP_LISTEN, 17).Add(INET_DIAG_MD5SIG, {}).Parse()->has_signatures);
  EXPECT_TRUE(
      InetMessage(AF_INET, TCP_LISTEN, 17).Add(INET_DIAG_MD5SIG, {1}).Parse()->has_signatures);
}

TEST(ParseInetDiagTest, RefusesWhatIsMalformed) {
  InetMessage shortened(AF_INET, TCP_LISTEN, 17);
  shortened.bytes().resize(20);
  EXPECT_THAT(shortened.Parse().status().message(), HasSubstr("the head"));
  EXPECT_THAT(InetMessage(AF_UNIX, TCP_LISTEN, 17).Parse().status().message(),
              HasSubstr("the family"));
  EXPECT_THAT(
      InetMessage(AF_INET, TCP_LISTEN, 17).Add(INET_DIAG_SHUTDOWN, {}).Parse().status().message(),
      HasSubstr("SHUTDOWN"));
}

UniqueFd BoundSocket(int family, int type, int protocol) {
  UniqueFd fd(socket(family, type, protocol));
  sockaddr_in6 address = {};
  address.sin6_family = static_cast<sa_family_t>(family);
  EXPECT_EQ(bind(fd.get(), reinterpret_cast<sockaddr*>(&address),
                 family == AF_INET ? sizeof(sockaddr_in) : sizeof address),
            0);
  return fd;
}

uint32_t InodeOf(const UniqueFd& fd) {
  struct stat stat = {};
  EXPECT_EQ(fstat(fd.get(), &stat), 0);
  return static_cast<uint32_t>(stat.st_ino);
}

TEST(AskForInetSocketsTest, FindsOurs) {
  for (const int family : {AF_INET, AF_INET6}) {
    const UniqueFd listening = BoundSocket(family, SOCK_STREAM, 0);
    ASSERT_EQ(listen(listening.get(), 7), 0);
    const auto rows = AskForInetSockets(IPPROTO_TCP);
    ASSERT_TRUE(rows.ok()) << rows.status();
    const auto row = rows->find(InodeOf(listening));
    ASSERT_NE(row, rows->end());
    const InetSocketRow expected = {.inode = InodeOf(listening),
                                    .family = static_cast<uint8_t>(family),
                                    .state = TCP_LISTEN,
                                    .send_queue = 7};
    EXPECT_EQ(row->second, expected);
  }
}

TEST(AskForInetSocketsTest, TellsProtocolsApart) {
  const UniqueFd udp = BoundSocket(AF_INET, SOCK_DGRAM, 0);
  const UniqueFd lite = BoundSocket(AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE);
  const auto udp_rows = AskForInetSockets(IPPROTO_UDP);
  const auto lite_rows = AskForInetSockets(IPPROTO_UDPLITE);
  ASSERT_TRUE(udp_rows.ok() && lite_rows.ok());
  EXPECT_TRUE(udp_rows->contains(InodeOf(udp)));
  EXPECT_FALSE(udp_rows->contains(InodeOf(lite)));
  EXPECT_TRUE(lite_rows->contains(InodeOf(lite)));
  EXPECT_EQ(udp_rows->at(InodeOf(udp)).state, TCP_CLOSE);
}

}  // namespace
}  // namespace dumpctl
