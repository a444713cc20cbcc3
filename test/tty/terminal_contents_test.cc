#include "dump/tty/terminal_contents.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <string>
#include <string_view>

#include "dump/tty/terminal.h"
#include "dumpctl/unique_fd.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dumpctl {
namespace {

using testing::HasSubstr;

// A pseudo-terminal of our own, whose queues are looked into by BPF.
class Pair {
 public:
  Pair() {
    master_.Reset(open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC));
    const int unlock = 0;
    EXPECT_EQ(ioctl(master_.get(), TIOCSPTLCK, &unlock), 0);
    slave_.Reset(ioctl(master_.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK));
    EXPECT_TRUE(slave_);
  }

  termios2 Settings() const {
    termios2 settings = {};
    EXPECT_EQ(ioctl(slave_.get(), TCGETS2, &settings), 0);
    return settings;
  }
  void Set(const termios2& settings) const {
    EXPECT_EQ(ioctl(slave_.get(), TCSETS2, &settings), 0);
  }
  void Without(tcflag_t local, tcflag_t out = 0) const {
    termios2 settings = Settings();
    settings.c_lflag &= ~local;
    settings.c_oflag &= ~out;
    Set(settings);
  }

  void Type(std::string_view text) const { Write(master_, text); }
  void Print(std::string_view text) const { Write(slave_, text); }
  std::string Hear() const { return Read(master_); }
  std::string Get() const { return Read(slave_); }

  std::pair<TerminalQueue, TerminalQueue> Queues(const BpfTerminalQueues& bpf) const {
    // Waits for what is on its way.
    EXPECT_TRUE(ReadTerminal(BorrowedFd(master_)).ok());
    EXPECT_TRUE(ReadTerminal(BorrowedFd(slave_)).ok());
    std::pair<TerminalQueue, TerminalQueue> ends;
    // More than once, for a busy machine.
    for (int i = 0; i < 100; ++i) {
      const auto queues = bpf.ReadArrived(std::array{master_.get(), slave_.get()});
      EXPECT_TRUE(queues.ok()) << queues.status();
      if (!queues.ok()) break;
      ends = {queues->at(master_.get()), queues->at(slave_.get())};
      if (!ends.first.arriving && !ends.second.arriving) break;
    }
    return ends;
  }

 private:
  static void Write(const UniqueFd& to, std::string_view text) {
    EXPECT_EQ(write(to.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  static std::string Read(const UniqueFd& from) {
    pollfd poll_fd = {.fd = from.get(), .events = POLLIN, .revents = 0};
    if (poll(&poll_fd, 1, 0) != 1) return "";
    std::string text(8192, '\0');
    const ssize_t n = read(from.get(), text.data(), text.size());
    text.resize(n > 0 ? static_cast<size_t>(n) : 0);
    return text;
  }

  UniqueFd master_;
  UniqueFd slave_;
};

class ContentsTest : public testing::Test {
 protected:
  void SetUp() override {
    auto bpf = BpfTerminalQueues::Load();
    if (!bpf.ok()) GTEST_SKIP() << bpf.status();
    bpf_ = std::make_unique<BpfTerminalQueues>(*std::move(bpf));
  }

  std::variant<TerminalContents, WhyNotText> Contents(const Pair& pair) {
    const auto [at_master, at_slave] = pair.Queues(*bpf_);
    return ContentsOf(at_master, at_slave, pair.Settings());
  }
  std::string WhyNot(const Pair& pair) {
    const auto contents = Contents(pair);
    const auto* why_not = std::get_if<WhyNotText>(&contents);
    return why_not == nullptr ? "" : why_not->why;
  }

  // What a restore does with the contents of `pair` leads to the same queues.
  void ExpectKept(const Pair& pair) {
    const auto contents = Contents(pair);
    ASSERT_TRUE(std::holds_alternative<TerminalContents>(contents)) << WhyNot(pair);
    const Pair restored;
    restored.Set(pair.Settings());
    restored.Print(std::get<TerminalContents>(contents).output);
    restored.Type(std::get<TerminalContents>(contents).input);
    EXPECT_TRUE(restored.Queues(*bpf_) == pair.Queues(*bpf_));
    EXPECT_EQ(restored.Get(), pair.Get());
    EXPECT_EQ(restored.Hear(), pair.Hear());
  }

  std::unique_ptr<BpfTerminalQueues> bpf_;
};

TEST_F(ContentsTest, NothingWaits) { ExpectKept(Pair()); }

TEST_F(ContentsTest, WhatIsPrinted) {
  const Pair pair;
  pair.Print("one\ntwo\r\n\rthree");
  ExpectKept(pair);
}

TEST_F(ContentsTest, WhatIsTypedWithItsEcho) {
  const Pair pair;
  pair.Print("prompt> ");
  pair.Type("first\nsecond\n\x04un");
  pair.Type("ended");
  ExpectKept(pair);
}

TEST_F(ContentsTest, WhatIsTypedWithoutEcho) {
  const Pair pair;
  pair.Without(ECHO);
  pair.Type("secret\n\x04more");
  pair.Print("password: ");
  ExpectKept(pair);
}

TEST_F(ContentsTest, RawBytes) {
  const Pair pair;
  termios2 settings = pair.Settings();
  settings.c_iflag = 0;
  settings.c_oflag = 0;
  settings.c_lflag = 0;
  pair.Set(settings);
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all.push_back(static_cast<char>(byte));
  pair.Type(all);
  pair.Print(all);
  ExpectKept(pair);
}

TEST_F(ContentsTest, AsMuchAsAQueueHolds) {
  const Pair pair;
  pair.Without(ECHO | ICANON);
  pair.Type(std::string(4000, 'i'));
  pair.Print(std::string(4000, 'o'));
  ExpectKept(pair);
  pair.Print(std::string(4000, 'o'));
  pair.Print(std::string(200, 'o'));
  EXPECT_THAT(WhyNot(pair), HasSubstr("more waits there"));
  EXPECT_FALSE(pair.Queues(*bpf_).first.arriving);
}

// It waits for as long as nobody lets the terminal go on, and is not waited for.
TEST_F(ContentsTest, AnEchoOfAStoppedTerminal) {
  const Pair pair;
  pair.Type("\x13stopped");  // ^S
  const auto [at_master, at_slave] = pair.Queues(*bpf_);
  EXPECT_TRUE(at_slave.more);
  EXPECT_FALSE(at_slave.arriving);
  EXPECT_THAT(WhyNot(pair), HasSubstr("more waits there"));
}

TEST_F(ContentsTest, AnEchoThatWasHeardComesTwice) {
  const Pair pair;
  pair.Type("begun");
  EXPECT_EQ(pair.Queues(*bpf_).second.bytes, "begun");
  EXPECT_EQ(pair.Hear(), "begun");
  EXPECT_THAT(WhyNot(pair), HasSubstr("5 bytes that were typed"));
}

TEST_F(ContentsTest, KeysThatWereQuoted) {
  const Pair pair;
  pair.Without(ECHO);
  pair.Type("a\x16\x03z\n");  // ^V^C
  EXPECT_THAT(WhyNot(pair), HasSubstr("no typing brings back"));
}

TEST_F(ContentsTest, WhatWasPrintedInAnotherMode) {
  const Pair pair;
  pair.Without(0, OPOST);
  pair.Print("raw\n");
  ExpectKept(pair);
  const Pair changed;
  changed.Without(0, OPOST);
  changed.Print("raw\n");
  termios2 settings = changed.Settings();
  settings.c_oflag |= OPOST;
  changed.Set(settings);
  EXPECT_THAT(WhyNot(changed), HasSubstr("no writing brings back"));
}

TEST_F(ContentsTest, LookingTakesNothing) {
  const Pair pair;
  pair.Type("line\n");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(pair.Queues(*bpf_).second.bytes, "line\n");
  EXPECT_EQ(pair.Get(), "line\n");
  EXPECT_EQ(pair.Queues(*bpf_).second.bytes, "");
  EXPECT_EQ(pair.Hear(), "line\r\n");
}

}  // namespace
}  // namespace dumpctl
