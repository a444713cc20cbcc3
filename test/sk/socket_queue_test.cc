#include "dump/sk/socket_queue.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dumpctl {
namespace {

using testing::ElementsAre;
using testing::SizeIs;

class SocketQueueTest : public ::testing::Test {
 protected:
  void Open(int type) {
    int pair[2];
    ASSERT_EQ(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair), 0);
    type_ = type;
    sender_.Reset(pair[0]);
    receiver_.Reset(pair[1]);
  }

  void Send(std::string_view bytes, int file = -1) {
    iovec data = {const_cast<char*>(bytes.data()), bytes.size()};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof file)] = {};
    msghdr message = {};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    if (file >= 0) {
      message.msg_control = control;
      message.msg_controllen = sizeof control;
      cmsghdr* head = CMSG_FIRSTHDR(&message);
      head->cmsg_level = SOL_SOCKET;
      head->cmsg_type = SCM_RIGHTS;
      head->cmsg_len = CMSG_LEN(sizeof file);
      std::memcpy(CMSG_DATA(head), &file, sizeof file);
    }
    ASSERT_EQ(sendmsg(sender_.get(), &message, 0), static_cast<ssize_t>(bytes.size()));
  }

  SocketQueue Peek(uint32_t bytes) {
    auto queue = PeekQueue(BorrowedFd(receiver_), type_, bytes,
                           [this](BorrowedFd socket, absl::FunctionRef<absl::Status()> peeking) {
                             ++guarded_;
                             const absl::Status status = peeking();
                             const int off = -1;
                             setsockopt(socket.get(), SOL_SOCKET, SO_PEEK_OFF, &off, sizeof off);
                             return status;
                           });
    EXPECT_TRUE(queue.ok()) << queue.status();
    return queue.ok() ? *std::move(queue) : SocketQueue();
  }

  static std::vector<std::string> BytesOf(const SocketQueue& queue) {
    std::vector<std::string> bytes;
    for (const QueuedPacket& packet : queue.packets) bytes.push_back(packet.bytes);
    return bytes;
  }

  // What a reader gets afterwards.
  std::string Receive() {
    char bytes[64];
    const ssize_t got = recv(receiver_.get(), bytes, sizeof bytes, MSG_DONTWAIT);
    return got < 0 ? "nothing" : std::string(bytes, static_cast<size_t>(got));
  }

  int type_ = 0;
  int guarded_ = 0;
  UniqueFd sender_;
  UniqueFd receiver_;
};

TEST_F(SocketQueueTest, PlainBytesOfAStreamNeedNoOffset) {
  Open(SOCK_STREAM);
  Send("one");
  Send("two");
  EXPECT_THAT(BytesOf(Peek(6)), ElementsAre("onetwo"));
  EXPECT_EQ(guarded_, 0);
  EXPECT_EQ(Receive(), "onetwo");
}

TEST_F(SocketQueueTest, NothingWaits) {
  for (const int type : {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET}) {
    Open(type);
    EXPECT_THAT(Peek(0).packets, SizeIs(0));
  }
  EXPECT_EQ(guarded_, 0);
}

TEST_F(SocketQueueTest, PacketsKeepTheirBounds) {
  for (const int type : {SOCK_DGRAM, SOCK_SEQPACKET}) {
    Open(type);
    Send("one");
    Send("");
    Send("three");
    EXPECT_THAT(BytesOf(Peek(3)), ElementsAre("one", "", "three"));
    EXPECT_EQ(Receive(), "one");
    EXPECT_EQ(Receive(), "");
    EXPECT_EQ(Receive(), "three");
  }
  EXPECT_EQ(guarded_, 2);
}

TEST_F(SocketQueueTest, LongPacketsAreWhole) {
  const std::vector<std::string> packets = {
      "short", std::string(2048, 'a'), "", std::string(2049, 'b'), std::string(9000, 'c'), "",
      "last"};
  const UniqueFd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
  for (const int type : {SOCK_DGRAM, SOCK_SEQPACKET}) {
    Open(type);
    for (const std::string& packet : packets) Send(packet, packet.size() > 2048 ? null.get() : -1);
    const SocketQueue queue = Peek(5);
    EXPECT_EQ(BytesOf(queue), packets);
    for (const QueuedPacket& packet : queue.packets) {
      EXPECT_THAT(packet.files, SizeIs(packet.bytes.size() > 2048 ? 1 : 0));
    }
    EXPECT_EQ(Receive(), "short");
  }
}

TEST_F(SocketQueueTest, AStreamIsCutWhereDescriptorsCameAlong) {
  Open(SOCK_STREAM);
  const UniqueFd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
  Send("before");
  Send("with", null.get());
  Send("after");
  const SocketQueue queue = Peek(15);
  ASSERT_THAT(BytesOf(queue), ElementsAre("before", "with", "after"));
  EXPECT_THAT(queue.packets[0].files, SizeIs(0));
  ASSERT_THAT(queue.packets[1].files, SizeIs(1));
  struct stat sent = {};
  struct stat got = {};
  ASSERT_EQ(fstat(null.get(), &sent), 0);
  ASSERT_EQ(fstat(queue.packets[1].files[0].get(), &got), 0);
  EXPECT_EQ(got.st_rdev, sent.st_rdev);
  EXPECT_EQ(guarded_, 1);
}

TEST_F(SocketQueueTest, UrgentDataIsToldOf) {
  Open(SOCK_STREAM);
  if (send(sender_.get(), "!", 1, MSG_OOB) != 1) GTEST_SKIP() << "no MSG_OOB here";
  EXPECT_EQ(Peek(1).trouble, QueueTrouble::kUrgent);
}

}  // namespace
}  // namespace dumpctl
