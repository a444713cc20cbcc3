#include "dump/sk/socket_options.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dumpctl {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

UniqueFd NewSocket(int family = AF_UNIX, int type = SOCK_DGRAM) {
  return UniqueFd(socket(family, type | SOCK_CLOEXEC, 0));
}

template <typename Value>
void Set(const UniqueFd& socket, int option, const Value& value) {
  ASSERT_EQ(setsockopt(socket.get(), SOL_SOCKET, option, &value, sizeof value), 0)
      << option << ": " << strerror(errno);
}

SocketOptions Read(const UniqueFd& socket) {
  const auto options = ReadSocketOptions(BorrowedFd(socket));
  EXPECT_TRUE(options.ok()) << options.status();
  return options.ok() ? *options : SocketOptions();
}

// A new socket of each family has nothing to lose, and is what stock's images make of it.
TEST(SocketOptionsTest, UntouchedSockets) {
  for (const auto& [family, type] : {std::pair{AF_UNIX, SOCK_STREAM},
                                     {AF_UNIX, SOCK_SEQPACKET},
                                     {AF_UNIX, SOCK_DGRAM},
                                     {AF_INET, SOCK_STREAM},
                                     {AF_INET6, SOCK_DGRAM},
                                     {AF_NETLINK, SOCK_RAW}}) {
    SCOPED_TRACE(testing::Message() << "family " << family << ", type " << type);
    const SocketOptions options = Read(NewSocket(family, type));
    EXPECT_THAT(options.lost, IsEmpty());
    EXPECT_GT(options.entry.so_sndbuf(), 0u);
    EXPECT_GT(options.entry.so_rcvbuf(), 0u);
    EXPECT_EQ(options.entry.so_rcvlowat(), 1u);
    EXPECT_EQ(options.entry.so_buf_lock(), 0u);
    EXPECT_FALSE(options.entry.reuseaddr());
    EXPECT_FALSE(options.entry.so_passcred());
    EXPECT_FALSE(options.entry.has_so_linger());
    EXPECT_FALSE(options.entry.has_so_mark());
    EXPECT_FALSE(options.entry.has_so_bound_dev());
    EXPECT_THAT(options.entry.so_filter(), IsEmpty());
  }
}

TEST(SocketOptionsTest, Numbers) {
  const UniqueFd socket = NewSocket(AF_UNIX, SOCK_STREAM);
  Set(socket, SO_SNDBUF, 100'000);
  Set(socket, SO_PRIORITY, 3);
  Set(socket, SO_RCVLOWAT, 17);
  Set(socket, SO_LINGER, linger{1, 9});
  Set(socket, SO_SNDTIMEO, timeval{2, 500'000});
  Set(socket, SO_RCVTIMEO, timeval{3, 0});
  const image::sk_opts_entry entry = Read(socket).entry;
  EXPECT_EQ(entry.so_sndbuf(), 200'000u) << "as the kernel counts it";
  EXPECT_EQ(entry.so_buf_lock(), 1u);
  EXPECT_EQ(entry.so_priority(), 3u);
  EXPECT_EQ(entry.so_rcvlowat(), 17u);
  EXPECT_EQ(entry.so_linger(), 9u);
  EXPECT_EQ(entry.so_snd_tmo_sec(), 2u);
  EXPECT_EQ(entry.so_snd_tmo_usec(), 500'000u);
  EXPECT_EQ(entry.so_rcv_tmo_sec(), 3u);
  EXPECT_EQ(entry.so_rcv_tmo_usec(), 0u);
}

TEST(SocketOptionsTest, Switches) {
  const UniqueFd socket = NewSocket();
  for (const int option : {SO_REUSEADDR, SO_PASSCRED, SO_PASSSEC, SO_DONTROUTE, SO_NO_CHECK,
                           SO_BROADCAST, SO_KEEPALIVE, SO_OOBINLINE}) {
    Set(socket, option, 1);
  }
  const image::sk_opts_entry entry = Read(socket).entry;
  EXPECT_TRUE(entry.reuseaddr());
  EXPECT_TRUE(entry.so_passcred());
  EXPECT_TRUE(entry.so_passsec());
  EXPECT_TRUE(entry.so_dontroute());
  EXPECT_TRUE(entry.so_no_check());
  EXPECT_TRUE(entry.so_broadcast());
  EXPECT_TRUE(entry.so_keepalive());
  EXPECT_EQ(entry.so_oobinline(), 1u);
  EXPECT_FALSE(entry.so_reuseport());
}

TEST(SocketOptionsTest, CredentialsThatAreOffAreLeftOut) {
  image::sk_opts_entry entry;
  entry.set_so_passcred(false);
  entry.set_so_passsec(true);
  LeaveOutCredentials(entry);
  EXPECT_FALSE(entry.has_so_passcred());
  EXPECT_TRUE(entry.so_passsec());
}

TEST(SocketOptionsTest, Filter) {
  const UniqueFd socket = NewSocket();
  std::array<sock_filter, 4> filter = {
      sock_filter{BPF_LD | BPF_W | BPF_LEN, 0, 0, 0},
      sock_filter{BPF_JMP | BPF_JGE | BPF_K, 0, 1, 5},
      sock_filter{BPF_RET | BPF_K, 0, 0, 0x40000},
      sock_filter{BPF_RET | BPF_K, 0, 0, 1},
  };
  Set(socket, SO_ATTACH_FILTER, sock_fprog{filter.size(), filter.data()});
  EXPECT_THAT(Read(socket).entry.so_filter(),
              ElementsAre(0x0080'00'00'00000000, 0x0035'00'01'00000005, 0x0006'00'00'00040000,
                          0x0006'00'00'00000001));
}

TEST(SocketOptionsTest, NamesWhatHasNoPlace) {
  const UniqueFd socket = NewSocket();
  Set(socket, SO_TIMESTAMP, 1);
  Set(socket, SO_PEEK_OFF, 0);
  Set(socket, SO_LOCK_FILTER, 1);
  EXPECT_THAT(Read(socket).lost,
              UnorderedElementsAre("SO_TIMESTAMP", "SO_PEEK_OFF", "SO_LOCK_FILTER"));
}

TEST(SocketOptionsTest, WhatIsNoSocket) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd reader(ends[0]);
  const UniqueFd writer(ends[1]);
  EXPECT_FALSE(ReadSocketOptions(BorrowedFd(reader)).ok());
}

}  // namespace
}  // namespace dumpctl
