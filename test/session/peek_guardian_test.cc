#include "dump/session/peek_guardian.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>

namespace dumpctl {
namespace {

int OffsetOf(int socket) {
  int offset = -2;
  socklen_t size = sizeof offset;
  EXPECT_EQ(getsockopt(socket, SOL_SOCKET, SO_PEEK_OFF, &offset, &size), 0);
  return offset;
}

absl::Status Set(int socket, int offset) {
  EXPECT_EQ(setsockopt(socket, SOL_SOCKET, SO_PEEK_OFF, &offset, sizeof offset), 0);
  return absl::OkStatus();
}

class PeekGuardianTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(socketpair(AF_UNIX, SOCK_DGRAM, 0, sockets_), 0); }
  void TearDown() override {
    close(sockets_[0]);
    close(sockets_[1]);
  }

  int sockets_[2];
};

TEST_F(PeekGuardianTest, TheOffsetIsForgottenAfterThePeek) {
  PeekGuardian guardian;
  for (int i = 0; i < 3; ++i) {
    const absl::Status status = guardian.Guard(BorrowedFd(sockets_[0]), [this] {
      EXPECT_EQ(OffsetOf(sockets_[0]), -1);
      return Set(sockets_[0], 7);
    });
    EXPECT_TRUE(status.ok()) << status;
    EXPECT_EQ(OffsetOf(sockets_[0]), -1);
  }
}

TEST_F(PeekGuardianTest, AndAfterOneThatFails) {
  PeekGuardian guardian;
  const absl::Status status = guardian.Guard(BorrowedFd(sockets_[0]), [this] {
    Set(sockets_[0], 7).IgnoreError();
    return absl::InternalError("no");
  });
  EXPECT_EQ(status.message(), "no");
  EXPECT_EQ(OffsetOf(sockets_[0]), -1);
}

TEST_F(PeekGuardianTest, AndAfterThePeekerWasKilledInTheMidst) {
  const pid_t peeker = fork();
  if (peeker == 0) {
    PeekGuardian guardian;
    guardian
        .Guard(BorrowedFd(sockets_[0]),
               [this] {
                 Set(sockets_[0], 7).IgnoreError();
                 kill(getpid(), SIGKILL);
                 return absl::OkStatus();
               })
        .IgnoreError();
    _exit(0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(peeker, &status, 0), peeker);
  ASSERT_TRUE(WIFSIGNALED(status));
  for (int ms = 0; OffsetOf(sockets_[0]) != -1 && ms < 10'000; ++ms) usleep(1000);
  EXPECT_EQ(OffsetOf(sockets_[0]), -1);
}

// Of all, the dead ones too. Other tests of the process may have left some.
std::string Children() {
  std::ifstream file("/proc/thread-self/children");
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST_F(PeekGuardianTest, LeavesNobodyBehind) {
  const std::string before = Children();
  {
    PeekGuardian guardian;
    EXPECT_TRUE(guardian.Guard(BorrowedFd(sockets_[0]), [] { return absl::OkStatus(); }).ok());
  }
  EXPECT_EQ(Children(), before);
}

}  // namespace
}  // namespace dumpctl
