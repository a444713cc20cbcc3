#include "dump/sk/socket_likeness.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <optional>
#include <string>
#include <vector>

#include "dumpctl/unique_fd.h"
#include "gtest/gtest.h"
#include "proc/kernel_features.h"

namespace dumpctl {
namespace {

class SocketLikenessTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!KernelFeatures::Probe()->Has(KernelFeature::kBpfTaskFile)) GTEST_SKIP() << "no BPF";
    auto loaded = SocketLikeness::Load();
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    likeness_.emplace(*std::move(loaded));
  }

  int NewSocket(int type) {
    const int fd = socket(AF_UNIX, type, 0);
    EXPECT_GE(fd, 0);
    kept_.emplace_back(fd);
    return fd;
  }

  std::string Of(int fd) {
    struct stat stat = {};
    EXPECT_EQ(fstat(fd, &stat), 0);
    const auto all = likeness_->Read(getpid());
    EXPECT_TRUE(all.ok()) << all.status();
    const auto found = all->find(static_cast<uint32_t>(stat.st_ino));
    EXPECT_NE(found, all->end());
    return found == all->end() ? "" : found->second;
  }

 private:
  std::optional<SocketLikeness> likeness_;
  std::vector<UniqueFd> kept_;
};

TEST_F(SocketLikenessTest, UntouchedSocketsAreAlike) {
  EXPECT_EQ(Of(NewSocket(SOCK_DGRAM)), Of(NewSocket(SOCK_DGRAM)));
  EXPECT_NE(Of(NewSocket(SOCK_DGRAM)), Of(NewSocket(SOCK_STREAM)));
}

TEST_F(SocketLikenessTest, EqualOptionsKeepThemAlike) {
  const int one = NewSocket(SOCK_STREAM);
  const int other = NewSocket(SOCK_STREAM);
  const int on = 1;
  ASSERT_EQ(setsockopt(one, SOL_SOCKET, SO_PASSCRED, &on, sizeof on), 0);
  EXPECT_NE(Of(one), Of(other));
  ASSERT_EQ(setsockopt(other, SOL_SOCKET, SO_PASSCRED, &on, sizeof on), 0);
  EXPECT_EQ(Of(one), Of(other));
}

// What is sent and received, and who is at the other end, is none of it.
TEST_F(SocketLikenessTest, PairsInUseAreAlike) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  const UniqueFd one(ends[0]), other(ends[1]);
  EXPECT_EQ(Of(ends[0]), Of(ends[1]));
  ASSERT_EQ(send(ends[0], "waiting", 7, 0), 7);
  EXPECT_EQ(Of(ends[0]), Of(ends[1]));
}

}  // namespace
}  // namespace dumpctl
