#include "dump/sk/unix_diag.h"

#include <linux/netlink.h>
#include <linux/unix_diag.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <string>
#include <vector>

#include "dumpctl/unique_fd.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dumpctl {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// A row as the kernel sends it.
class UnixMessage {
 public:
  UnixMessage(uint8_t type, uint8_t state, uint32_t inode) {
    unix_diag_msg head = {};
    head.udiag_family = AF_UNIX;
    head.udiag_type = type;
    head.udiag_state = state;
    head.udiag_ino = inode;
    Append(&head, sizeof head);
  }

  UnixMessage& Add(uint16_t type, const void* data, size_t size) {
    const nlattr head = {.nla_len = static_cast<uint16_t>(NLA_HDRLEN + size), .nla_type = type};
    Append(&head, sizeof head);
    Append(data, size);
    bytes_.resize(NLA_ALIGN(bytes_.size()));
    return *this;
  }
  template <typename Value>
  UnixMessage& Add(uint16_t type, const Value& value) {
    return Add(type, &value, sizeof value);
  }

  std::vector<std::byte>& bytes() { return bytes_; }
  absl::StatusOr<UnixSocketRow> Parse() const { return ParseUnixDiag(bytes_); }

 private:
  void Append(const void* data, size_t size) {
    const auto* begin = static_cast<const std::byte*>(data);
    bytes_.insert(bytes_.end(), begin, begin + size);
  }

  std::vector<std::byte> bytes_;
};

TEST(ParseUnixDiagTest, AllThatARowTells) {
  const uint32_t pending[] = {21, 0};
  const unix_diag_rqlen queues = {.udiag_rqueue = 5, .udiag_wqueue = 700};
  const auto row = UnixMessage(SOCK_SEQPACKET, 1, 17)
                       .Add(UNIX_DIAG_NAME, "\0name", 5)
                       .Add(UNIX_DIAG_PEER, uint32_t{18})
                       .Add(UNIX_DIAG_ICONS, pending)
                       .Add(UNIX_DIAG_RQLEN, queues)
                       .Add(UNIX_DIAG_SHUTDOWN, uint8_t{2})
                       .Parse();
  ASSERT_TRUE(row.ok()) << row.status();
  EXPECT_EQ(row->inode, 17u);
  EXPECT_EQ(row->type, SOCK_SEQPACKET);
  EXPECT_EQ(row->name, std::string("\0name", 5));
  EXPECT_EQ(row->peer, 18u);
  EXPECT_THAT(row->pending, ElementsAre(21, 0));
  EXPECT_EQ(row->receive_queue, 5u);
  EXPECT_EQ(row->send_queue, 700u);
  EXPECT_EQ(row->shutdown, 2);
  EXPECT_FALSE(row->listens());
}

TEST(ParseUnixDiagTest, AnUnnamedSocketThatIsAlone) {
  const auto row = UnixMessage(SOCK_STREAM, 7, 3).Parse();
  ASSERT_TRUE(row.ok()) << row.status();
  EXPECT_EQ(row->name, "");
  EXPECT_FALSE(row->peer.has_value());
}

TEST(ParseUnixDiagTest, WhatIsMalformedIsNamed) {
  const auto message_of = [](const absl::StatusOr<UnixSocketRow>& row) {
    EXPECT_TRUE(absl::IsDataLoss(row.status()));
    return std::string(row.status().message());
  };
  UnixMessage cut(SOCK_STREAM, 1, 3);
  cut.bytes().resize(8);
  EXPECT_THAT(message_of(cut.Parse()), HasSubstr("the head"));
  UnixMessage other(SOCK_STREAM, 1, 3);
  other.bytes()[0] = std::byte{AF_INET};
  EXPECT_THAT(message_of(other.Parse()), HasSubstr("the family"));
  EXPECT_THAT(message_of(UnixMessage(SOCK_STREAM, 1, 3).Add(UNIX_DIAG_PEER, uint16_t{1}).Parse()),
              HasSubstr("PEER"));
  EXPECT_THAT(message_of(UnixMessage(SOCK_STREAM, 1, 3).Add(UNIX_DIAG_RQLEN, uint32_t{1}).Parse()),
              HasSubstr("RQLEN"));
  EXPECT_THAT(message_of(UnixMessage(SOCK_STREAM, 1, 3).Add(UNIX_DIAG_ICONS, "abc", 3).Parse()),
              HasSubstr("ICONS"));
  EXPECT_THAT(message_of(UnixMessage(SOCK_STREAM, 1, 3).Add(UNIX_DIAG_SHUTDOWN, "", 0).Parse()),
              HasSubstr("SHUTDOWN"));
}

uint32_t InodeOf(int socket) {
  struct stat stat = {};
  EXPECT_EQ(fstat(socket, &stat), 0);
  return static_cast<uint32_t>(stat.st_ino);
}

TEST(AskForUnixSocketsTest, AConnectedPairAndAListener) {
  int pair[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
  ASSERT_EQ(write(pair[0], "four", 4), 4);
  const UniqueFd listener(socket(AF_UNIX, SOCK_STREAM, 0));
  sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = {}};
  const std::string name = "dumpctl-unix-diag-test-" + std::to_string(getpid());
  std::memcpy(address.sun_path + 1, name.data(), name.size());
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  const auto* bound = reinterpret_cast<const sockaddr*>(&address);
  ASSERT_EQ(bind(listener.get(), bound, size), 0);
  ASSERT_EQ(listen(listener.get(), 9), 0);
  const UniqueFd client(socket(AF_UNIX, SOCK_STREAM, 0));
  ASSERT_EQ(connect(client.get(), bound, size), 0);

  const auto rows = AskForUnixSockets();
  ASSERT_TRUE(rows.ok()) << rows.status();
  const UnixSocketRow& reader = rows->at(InodeOf(pair[1]));
  EXPECT_EQ(reader.peer, InodeOf(pair[0]));
  EXPECT_EQ(reader.receive_queue, 4u);
  const UnixSocketRow& listening = rows->at(InodeOf(listener.get()));
  EXPECT_TRUE(listening.listens());
  EXPECT_EQ(listening.name, '\0' + name);
  EXPECT_THAT(listening.pending, ElementsAre(InodeOf(client.get())));
  EXPECT_EQ(listening.send_queue, 9u);
  close(pair[0]);
  close(pair[1]);
}

}  // namespace
}  // namespace dumpctl
