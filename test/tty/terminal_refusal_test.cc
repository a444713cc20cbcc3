#include "dump/tty/terminal_refusal.h"

#include <sys/sysmacros.h>

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dumpctl {
namespace {

using testing::HasSubstr;

TerminalFacts Terminal(TerminalKind kind, dev_t rdev, uint32_t number = 0) {
  TerminalFacts facts{.kind = kind, .read = true};
  facts.stat.st_rdev = rdev;
  facts.stat.st_dev = makedev(0, 0x19);
  facts.number = number;
  facts.device = kind == TerminalKind::kMaster || kind == TerminalKind::kControlling
                     ? SlaveDevice(number)
                     : TerminalDevice(rdev);
  facts.settings.c_cflag = B38400;
  return facts;
}

TerminalFacts Master(uint32_t number = 0) {
  return Terminal(TerminalKind::kMaster, makedev(5, 2), number);
}
TerminalFacts Slave(uint32_t number = 0) {
  return Terminal(TerminalKind::kSlave, makedev(136, number), number);
}
TerminalFacts DevTty(pid_t opener) {
  TerminalFacts facts = Terminal(TerminalKind::kControlling, makedev(5, 0));
  facts.opener = opener;
  return facts;
}

// `tty`: the number of the pseudo-terminal that controls it, or -1.
TaskStat Task(pid_t pid, pid_t group, pid_t session, int tty = -1, pid_t front = -1) {
  TaskStat stat;
  stat.pid = pid;
  stat.pgrp = group;
  stat.session = session;
  stat.tty_nr = tty < 0 ? 0 : static_cast<int32_t>(SlaveDevice(static_cast<uint32_t>(tty)));
  stat.tpgid = front;
  return stat;
}

class SceneTest : public testing::Test {
 protected:
  // Why `terminal` is refused; empty when it is not.
  std::string WhyNot(const TerminalFacts& terminal) {
    const auto why_not = TerminalScene(terminals_, tree_, options_).WhyNot(terminal);
    if (!why_not) return "";
    EXPECT_FALSE(why_not->remedy.empty());
    return why_not->why + "; " + why_not->remedy;
  }

  std::vector<TerminalFacts> terminals_;
  std::vector<TaskStat> tree_ = {Task(10, 10, 10)};
  TerminalOptions options_;
};

TEST_F(SceneTest, APairIsDumped) {
  terminals_ = {Master(), Slave()};
  EXPECT_EQ(WhyNot(terminals_[0]), "");
  EXPECT_EQ(WhyNot(terminals_[1]), "");
}

TEST_F(SceneTest, ASlaveAloneNeedsAnOption) {
  terminals_ = {Slave(3)};
  EXPECT_THAT(WhyNot(terminals_[0]), HasSubstr("add --shell-job"));
  EXPECT_THAT(WhyNot(terminals_[0]), HasSubstr("--external tty[8803:19]"));
  options_.external = {{0x8803, 0x18}, {0x8804, 0x19}};
  EXPECT_NE(WhyNot(terminals_[0]), "");
  options_.external.push_back({0x8803, 0x19});
  EXPECT_EQ(WhyNot(terminals_[0]), "");
  options_ = {.shell_job = true};
  EXPECT_EQ(WhyNot(terminals_[0]), "");
}

TEST_F(SceneTest, TwoSlavesAloneAreOneTooMany) {
  options_.shell_job = true;
  terminals_ = {Slave(3), Slave(4), Slave(3)};
  EXPECT_THAT(WhyNot(terminals_[0]), HasSubstr("of 2 terminals"));
  options_.external = {{0x8804, 0x19}};
  EXPECT_EQ(WhyNot(terminals_[0]), "");
  EXPECT_EQ(WhyNot(terminals_[1]), "");
}

TEST_F(SceneTest, ALeaderLosesATerminalThatIsTheRestorers) {
  options_.shell_job = true;
  tree_ = {Task(10, 10, 10, 0, 10)};
  terminals_ = {Slave()};
  EXPECT_THAT(WhyNot(terminals_[0]), HasSubstr("it controls session 10"));
  options_.external = {{0x8800, 0x19}};
  EXPECT_EQ(WhyNot(terminals_[0]), "");
}

TEST_F(SceneTest, OfAJobItsOwnGroupIsInFront) {
  options_.shell_job = true;
  tree_ = {Task(10, 10, 9, 0, 10), Task(11, 11, 9, 0, 10)};
  terminals_ = {Slave()};
  EXPECT_EQ(WhyNot(terminals_[0]), "");
  for (TaskStat& task : tree_) task.tpgid = 9;  // it is in the background
  EXPECT_EQ(WhyNot(terminals_[0]), "");
  for (TaskStat& task : tree_) task.tpgid = 11;
  EXPECT_THAT(WhyNot(terminals_[0]), HasSubstr("process group 11 is in its foreground"));
}

TEST_F(SceneTest, WhoIsControlledIsPartOfTheDump) {
  terminals_ = {Master(), Slave()};
  terminals_[0].session = 7;
  terminals_[0].group = 7;
  EXPECT_THAT(WhyNot(terminals_[0]), HasSubstr("it controls session 7"));
  EXPECT_EQ(WhyNot(terminals_[1]), "");  // said once
  tree_.push_back(Task(7, 7, 7, 0, 7));
  EXPECT_EQ(WhyNot(terminals_[0]), "");
  terminals_[0].group = 8;
  EXPECT_THAT(WhyNot(terminals_[0]), HasSubstr("nobody is left of the process group"));
  tree_.push_back(Task(9, 8, 7, 0, 8));
  EXPECT_EQ(WhyNot(terminals_[0]), "");
}

TEST_F(SceneTest, OfTasksThatRunGroupsAreNotAsked) {
  tree_ = {Task(10, 10, 10, 0, 99)};
  terminals_ = {Master(), Slave()};
  for (TerminalFacts& terminal : terminals_) terminal.read = false;
  EXPECT_EQ(WhyNot(terminals_[0]), "");
}

TEST_F(SceneTest, AnEndThatIsGone) {
  terminals_ = {Slave()};
  terminals_[0].hung_up = true;
  EXPECT_EQ(WhyNot(terminals_[0]), "");
  terminals_.push_back(Master());  // its number is another one's by now
  EXPECT_THAT(WhyNot(terminals_[0]), HasSubstr("hung up"));
  TerminalFacts console = Terminal(TerminalKind::kVirtualConsole, makedev(4, 5));
  console.hung_up = true;
  EXPECT_THAT(WhyNot(console), HasSubstr("hung up"));
}

TEST_F(SceneTest, ASlaveThatAllHaveClosed) {
  terminals_ = {Master()};
  terminals_[0].slave_closed = true;
  EXPECT_THAT(WhyNot(terminals_[0]), HasSubstr("all have closed its other end"));
  // A restore opens it to have it control its session, and closes it again.
  terminals_[0].session = terminals_[0].group = 10;
  tree_ = {Task(10, 10, 10, 0, 10)};
  EXPECT_EQ(WhyNot(terminals_[0]), "");
}

TEST_F(SceneTest, DevTtyIsOpenedByLeadersAndJobs) {
  tree_ = {Task(10, 10, 10), Task(11, 11, 11, 0, 11), Task(12, 11, 11, 0, 11)};
  terminals_ = {Master(), DevTty(11)};
  EXPECT_EQ(WhyNot(terminals_[1]), "");
  terminals_[1].opener = 12;
  EXPECT_THAT(WhyNot(terminals_[1]), HasSubstr("only leaders of sessions"));
  terminals_[1].opener = kNobody;
  EXPECT_NE(WhyNot(terminals_[1]), "");
  tree_ = {Task(10, 10, 9, 0, 10), Task(12, 10, 9, 0, 10)};
  terminals_ = {DevTty(12)};
  EXPECT_NE(WhyNot(terminals_[0]), "");
  options_.shell_job = true;
  EXPECT_EQ(WhyNot(terminals_[0]), "");
}

TEST_F(SceneTest, WhatNoRestoreSets) {
  terminals_ = {Master(), Slave()};
  TerminalFacts terminal = Slave();
  terminal.exclusive = true;
  EXPECT_THAT(WhyNot(terminal), HasSubstr("TIOCEXCL"));
  terminal = Master();
  terminal.settings.c_line = 3;
  EXPECT_THAT(WhyNot(terminal), HasSubstr("line discipline, 3"));
  terminal = Master();
  terminal.settings.c_cflag = BOTHER;
  terminal.settings.c_ospeed = 12345;
  EXPECT_THAT(WhyNot(terminal), HasSubstr("speed, 12345"));
  terminal = Slave();
  terminal.readable = true;
  EXPECT_THAT(WhyNot(terminal), HasSubstr("something waits there"));
  terminal.bytes = 7;
  EXPECT_THAT(WhyNot(terminal), HasSubstr("7 bytes wait there"));
  terminal = Master();
  terminal.packet_status = true;
  EXPECT_THAT(WhyNot(terminal), HasSubstr("TIOCPKT"));
  terminal = Master(1002);
  EXPECT_THAT(WhyNot(terminal), HasSubstr("beyond 1001"));
  EXPECT_THAT(WhyNot(Terminal(TerminalKind::kOther, makedev(4, 64))),
              HasSubstr("--external tty[440:19]"));
}

TEST_F(SceneTest, LocksHoldWhatPseudoTerminalsBeginWith) {
  terminals_ = {Master(), Slave()};
  TerminalFacts terminal = Master();
  terminal.settings.c_iflag = ICRNL;  // and not IXON
  terminal.locked_settings.c_iflag = ICRNL;
  EXPECT_EQ(WhyNot(terminal), "");
  terminal.locked_settings.c_iflag = IXON;
  EXPECT_THAT(WhyNot(terminal), HasSubstr("TIOCSLCKTRMIOS"));
  terminal.locked_settings = {};
  terminal.settings.c_cc[VINTR] = 'k';
  terminal.locked_settings.c_cc[VINTR] = 1;
  EXPECT_THAT(WhyNot(terminal), HasSubstr("TIOCSLCKTRMIOS"));
}

TEST_F(SceneTest, ATerminalThatNobodyHasOpen) {
  tree_ = {Task(10, 10, 10, 5, 10), Task(11, 11, 10, 5, 10)};
  ASSERT_EQ(TerminalScene({}, tree_, options_).RefuseLeaders().size(), 1u);
  terminals_ = {Slave(5)};
  EXPECT_TRUE(TerminalScene(terminals_, tree_, options_).RefuseLeaders().empty());
  // A job's is the restorer's.
  tree_ = {Task(10, 10, 9, 5, 10)};
  EXPECT_TRUE(TerminalScene({}, tree_, options_).RefuseLeaders().empty());
}

TEST(ExternalTerminalTest, TwoHexadecimalNumbers) {
  const auto external = ParseExternalTerminal("tty[8801:1f]");
  ASSERT_TRUE(external.has_value());
  EXPECT_EQ(external->rdev, 0x8801u);
  EXPECT_EQ(external->dev, 0x1fu);
  for (const char* text : {"", "tty", "tty[", "tty[]", "tty[8801]", "tty[8801:]", "tty[:1f]",
                           "tty[8801:1f", "tty[8801:1f]x", "tty[88g1:1f]", "pty[8801:1f]",
                           "tty[10000000000000000:1]", "tty[-1:1]", "tty[0x1:1]"}) {
    EXPECT_FALSE(ParseExternalTerminal(text).has_value()) << text;
  }
}

}  // namespace
}  // namespace dumpctl
