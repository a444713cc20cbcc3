#include "dump/tty/terminal.h"

#include <fcntl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <string>

#include "gtest/gtest.h"

namespace dumpctl {
namespace {

// A pseudo-terminal of our own.
class TerminalTest : public testing::Test {
 protected:
  void SetUp() override {
    master_.Reset(open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC));
    ASSERT_TRUE(master_);
  }

  void OpenSlave() {
    const int unlock = 0;
    ASSERT_EQ(ioctl(master_.get(), TIOCSPTLCK, &unlock), 0);
    slave_.Reset(ioctl(master_.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
    ASSERT_TRUE(slave_);
  }

  static TerminalFacts Read(const UniqueFd& file) {
    const auto facts = ReadTerminal(BorrowedFd(file));
    EXPECT_TRUE(facts.ok()) << facts.status();
    return facts.ok() ? *facts : TerminalFacts();
  }

  UniqueFd master_;
  UniqueFd slave_;
};

TEST_F(TerminalTest, AMasterThatIsLocked) {
  const TerminalFacts facts = Read(master_);
  EXPECT_EQ(facts.kind, TerminalKind::kMaster);
  EXPECT_TRUE(facts.read);
  EXPECT_TRUE(facts.locked);
  EXPECT_FALSE(facts.hung_up);
  EXPECT_FALSE(facts.packet_mode);
  EXPECT_FALSE(facts.slave_closed);
  EXPECT_FALSE(facts.readable);
  EXPECT_EQ(facts.session, 0);
  EXPECT_EQ(facts.device, SlaveDevice(facts.number));
}

TEST_F(TerminalTest, BothEnds) {
  OpenSlave();
  const winsize size = {.ws_row = 3, .ws_col = 4, .ws_xpixel = 5, .ws_ypixel = 6};
  ASSERT_EQ(ioctl(master_.get(), TIOCSWINSZ, &size), 0);
  const int on = 1;
  ASSERT_EQ(ioctl(master_.get(), TIOCPKT, &on), 0);
  ASSERT_EQ(ioctl(slave_.get(), TIOCEXCL), 0);
  const TerminalFacts master = Read(master_);
  const TerminalFacts slave = Read(slave_);
  EXPECT_EQ(slave.kind, TerminalKind::kSlave);
  EXPECT_EQ(slave.number, master.number);
  EXPECT_EQ(slave.device, master.device);
  EXPECT_FALSE(master.locked);
  EXPECT_TRUE(master.packet_mode);
  EXPECT_TRUE(slave.exclusive);
  EXPECT_FALSE(master.exclusive);
  EXPECT_EQ(slave.size.ws_ypixel, 6);
  EXPECT_EQ(slave.settings.c_cc[VINTR], 3);
  EXPECT_TRUE(slave.settings.c_lflag & ICANON);
}

TEST_F(TerminalTest, WhatWaitsIsToldAndStays) {
  OpenSlave();
  ASSERT_EQ(write(master_.get(), "line\n", 5), 5);
  for (int i = 0; i < 2; ++i) {
    const TerminalFacts slave = Read(slave_);
    EXPECT_TRUE(slave.readable);
    EXPECT_EQ(slave.bytes, 5);
    const TerminalFacts master = Read(master_);
    EXPECT_TRUE(master.readable);
    EXPECT_EQ(master.bytes, 6);  // the echo, with a carriage return
  }
  char bytes[16] = "";
  EXPECT_EQ(read(slave_.get(), bytes, sizeof bytes), 5);
  EXPECT_STREQ(bytes, "line\n");
  EXPECT_FALSE(Read(slave_).readable);
}

TEST_F(TerminalTest, AnEndOfFileWaitsWithoutBytes) {
  OpenSlave();
  ASSERT_EQ(write(master_.get(), "\x04", 1), 1);
  const TerminalFacts slave = Read(slave_);
  EXPECT_TRUE(slave.readable);
  EXPECT_EQ(slave.bytes, 0);
}

TEST_F(TerminalTest, AnEndThatIsClosed) {
  OpenSlave();
  const UniqueFd other(dup(slave_.get()));
  master_.Reset();
  const TerminalFacts facts = Read(other);
  EXPECT_TRUE(facts.hung_up);
  EXPECT_EQ(facts.kind, TerminalKind::kSlave);
}

TEST_F(TerminalTest, ASlaveThatAllHaveClosed) {
  OpenSlave();
  EXPECT_FALSE(Read(master_).slave_closed);
  slave_.Reset();
  EXPECT_TRUE(Read(master_).slave_closed);
}

TEST(TerminalKindTest, ByDeviceNumber) {
  const struct {
    unsigned major;
    unsigned minor;
    TerminalKind kind;
  } kRows[] = {
      {5, 0, TerminalKind::kControlling},     {5, 1, TerminalKind::kConsole},
      {5, 2, TerminalKind::kMaster},          {5, 3, TerminalKind::kOther},
      {136, 0, TerminalKind::kSlave},         {136, 1048575, TerminalKind::kSlave},
      {143, 255, TerminalKind::kSlave},       {144, 0, TerminalKind::kOther},
      {4, 0, TerminalKind::kOther},           {4, 1, TerminalKind::kVirtualConsole},
      {4, 63, TerminalKind::kVirtualConsole}, {4, 64, TerminalKind::kOther},
      {3, 0, TerminalKind::kOther},
  };
  for (const auto& row : kRows) {
    EXPECT_EQ(TerminalKindOf(makedev(row.major, row.minor)), row.kind)
        << row.major << ":" << row.minor;
  }
  // As Documentation/admin-guide/devices.txt's numbers stand in procfs.
  EXPECT_EQ(TerminalDevice(makedev(4, 1)), 1025u);
  EXPECT_EQ(SlaveDevice(0x12345), 0x12308845u);
}

}  // namespace
}  // namespace dumpctl
