#include "dump/sk/socket_likeness.h"

#include <linux/filter.h>
#include <linux/net_tstamp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <ctime>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "dump/sk/socket_options.h"
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
    const auto all = likeness_->Read(getpid());
    EXPECT_TRUE(all.ok()) << all.status();
    return Of(*all, fd);
  }
  static std::string Of(const SocketLikenesses& all, int fd) {
    struct stat stat = {};
    EXPECT_EQ(fstat(fd, &stat), 0);
    const auto found = all.find(static_cast<uint32_t>(stat.st_ino));
    EXPECT_NE(found, all.end());
    return found == all.end() ? "" : found->second;
  }

  // A socket that has it, where such sockets can. What the number stands for is the option's.
  template <typename Value>
  void Set(int option, const Value& value) {
    const int fd = NewSocket(SOCK_STREAM);
    if (setsockopt(fd, SOL_SOCKET, option, &value, sizeof value) == 0) {
      tried_.insert(option);
    } else {
      constexpr int kNotSupported = 524;  // the kernel's own ENOTSUPP
      EXPECT_TRUE(errno == EOPNOTSUPP || errno == ENOPROTOOPT || errno == ENODEV ||
                  errno == kNotSupported || errno == EINVAL)
          << "option " << option << ", errno " << errno;
    }
    set_.emplace_back(option, fd);
  }

  std::vector<std::pair<int, int>> set_;  // option and socket
  std::set<int> tried_;                   // those that were taken
  std::optional<SocketLikeness> likeness_;

 private:
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

// All that ReadSocketOptions reads of those alike is the same: of every option, set to one value
// and to another.
TEST_F(SocketLikenessTest, SocketsWithOtherOptionsAreNotAlike) {
  for (const UnplacedOption& unplaced : UnplacedOptions()) {
    if (unplaced.option == SO_TXTIME) continue;
    for (const int value : {1, 0, 2, 64}) Set(unplaced.option, value);
  }
  for (const uint32_t clock : {CLOCK_MONOTONIC, CLOCK_TAI}) {
    Set(SO_TXTIME, sock_txtime{.clockid = static_cast<clockid_t>(clock), .flags = 0});
  }
  for (const int option : {SO_SNDBUF, SO_RCVBUF}) {
    for (const int value : {7000, 8000}) Set(option, value);
  }
  for (const int option :
       {SO_PRIORITY, SO_RCVLOWAT, SO_MARK, SO_BUF_LOCK, SO_REUSEADDR, SO_REUSEPORT, SO_PASSCRED,
        SO_PASSSEC, SO_DONTROUTE, SO_NO_CHECK, SO_BROADCAST, SO_KEEPALIVE, SO_OOBINLINE}) {
    for (const int value : {1, 2, 3}) Set(option, value);
  }
  for (const int seconds : {0, 9, 10}) {
    Set(SO_LINGER, linger{.l_onoff = 1, .l_linger = seconds});
  }
  for (const int option : {SO_SNDTIMEO, SO_RCVTIMEO}) {
    for (const int rest : {0, 500000}) Set(option, timeval{.tv_sec = 5, .tv_usec = rest});
    Set(option, timeval{.tv_sec = 6, .tv_usec = 0});
  }
  Set(SO_BINDTODEVICE, std::array<char, 3>{'l', 'o'});
  sock_filter filters[] = {BPF_STMT(BPF_RET | BPF_K, 1000), BPF_STMT(BPF_RET | BPF_K, 2000)};
  for (sock_filter& filter : filters) {
    Set(SO_ATTACH_FILTER, sock_fprog{.len = 1, .filter = &filter});
  }

  const auto all = likeness_->Read(getpid());
  ASSERT_TRUE(all.ok()) << all.status();
  std::map<std::string, std::pair<std::string, int>> alike;
  for (const auto& [option, fd] : set_) {
    const auto options = ReadSocketOptions(BorrowedFd(fd));
    ASSERT_TRUE(options.ok()) << options.status();
    std::string text = options->entry.ShortDebugString();
    for (const std::string_view lost : options->lost) text.append(" ").append(lost);
    const auto [known, is_new] = alike.try_emplace(Of(*all, fd), text, option);
    EXPECT_EQ(known->second.first, text) << "options " << known->second.second << ", " << option;
  }
  // Of what this kernel lets a unix socket have, enough was tried.
  EXPECT_GE(tried_.size(), 20u);
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
