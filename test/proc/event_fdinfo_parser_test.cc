#include "proc/event_fdinfo_parser.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "test/proc/event_fdinfo.h"
#include "test/proc/malformed.h"

namespace dumpctl {
namespace {

TEST(EventfdInfoTest, CountsInHexadecimal) {
  const auto info = ParseEventfdInfo(
      With("eventfd-count: fffffffffffffffe\neventfd-id: 5\neventfd-semaphore: 0\n"));
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->count, 0xfffffffffffffffe);
  EXPECT_EQ(info->semaphore, false);
}

TEST(EventfdInfoTest, ASemaphore) {
  const auto info = ParseEventfdInfo(
      With("eventfd-count:               10\neventfd-id: 1\neventfd-semaphore: 1\n"));
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->count, 16u);
  EXPECT_EQ(info->semaphore, true);
}

TEST(EventfdInfoTest, OlderKernelsDoNotTellSemaphores) {
  const auto info = ParseEventfdInfo(With("eventfd-count:                0\n"));
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->semaphore, std::nullopt);
}

TEST(EventfdInfoTest, Malformed) {
  EXPECT_THAT(ParseEventfdInfo("pos:\t0\n").status(),
              Refuses(BadText{"", "eventfd-count", "pos:\\t0\\n"}));
  EXPECT_THAT(ParseEventfdInfo("eventfd-count: x\n").status(),
              Refuses(BadText{"", "eventfd-count", "eventfd-count: x"}));
  EXPECT_THAT(ParseEventfdInfo("eventfd-count: 1\neventfd-semaphore: 2\n").status(),
              Refuses(BadText{"", "eventfd-semaphore", "eventfd-semaphore: 2"}));
}

TEST(TimerfdInfoTest, AnArmedTimer) {
  const auto info = ParseTimerfdInfo(
      With("clockid: 7\nticks: 2\nsettime flags: 03\nit_value: (204427654, 632673529)\n"
           "it_interval: (0, 50000000)\n"));
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->clock_id, 7);
  EXPECT_EQ(info->ticks, 2u);
  EXPECT_EQ(info->settime_flags, 3u);
  EXPECT_EQ(info->value, absl::Seconds(204427654) + absl::Nanoseconds(632673529));
  EXPECT_EQ(info->interval, absl::Milliseconds(50));
}

TEST(TimerfdInfoTest, Malformed) {
  const auto refuses = [](const std::string& value, const std::string& field,
                          const std::string& line) {
    const std::string text = "clockid: 1\nticks: 0\nsettime flags: 00\n" + value;
    EXPECT_THAT(ParseTimerfdInfo(text).status(), Refuses(BadText{"", field, line}));
  };
  refuses("it_value: 5\n", "it_value", "it_value: 5");
  refuses("it_value: (5)\n", "it_value", "it_value: (5)");
  refuses("it_value: (-5, 0)\n", "it_value", "it_value: (-5, 0)");
  refuses("it_value: (5, 1000000000)\n", "it_value", "it_value: (5, 1000000000)");
  refuses("it_value: (5, 0)\nit_interval: (0, x)\n", "it_interval", "it_interval: (0, x)");
  EXPECT_THAT(ParseTimerfdInfo("clockid: 1\nticks: -1\n").status(),
              Refuses(BadText{"", "ticks", "ticks: -1"}));
}

TEST(SignalfdInfoTest, TheMask) {
  const auto info = ParseSignalfdInfo(With("sigmask:\t8000000200000200\n"));
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->mask, 0x8000000200000200);
}

TEST(SignalfdInfoTest, Malformed) {
  EXPECT_THAT(ParseSignalfdInfo("sigmask:\t10000000000000000\n").status(),
              Refuses(BadText{"", "sigmask", "sigmask:\\t10000000000000000"}));
}

TEST(PidfdInfoTest, OfAProcessInANamespace) {
  const auto info = ParsePidfdInfo(With("Pid:\t4711\nNSpid:\t4711\t12\t3\n"));
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_FALSE(info->gone);
  EXPECT_EQ(info->pid, 4711);
  EXPECT_EQ(info->inner_pid, 3);
}

TEST(PidfdInfoTest, OfAProcessThatIsGone) {
  const auto info = ParsePidfdInfo(With("Pid:\t-1\nNSpid:\t-1\n"));
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_TRUE(info->gone);
}

TEST(PidfdInfoTest, WithoutNamespaces) {
  const auto info = ParsePidfdInfo(With("Pid:\t12\n"));
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->inner_pid, 12);
}

TEST(PidfdInfoTest, Malformed) {
  EXPECT_THAT(ParsePidfdInfo("pos:\t0\n").status(), Refuses(BadText{"", "Pid", "pos:\\t0\\n"}));
  EXPECT_THAT(ParsePidfdInfo("Pid:\tx\n").status(), Refuses(BadText{"", "Pid", "Pid:\\tx"}));
  EXPECT_THAT(ParsePidfdInfo("Pid:\t1\nNSpid:\t1\tx\n").status(),
              Refuses(BadText{"", "NSpid", "NSpid:\\t1\\tx"}));
  EXPECT_THAT(ParsePidfdInfo("Pid:\t1\nNSpid:\n").status(),
              Refuses(BadText{"", "NSpid", "NSpid:"}));
}

TEST(EpollInfoTest, EveryWatch) {
  const auto watches = ParseEpollInfo(
      With("tfd:        5 events:       1c data: 123456789abcdef0  pos:0 ino:1bb1c1 sdev:f\n"
           "tfd:        4 events: c0000019 data:                5  pos:-1 ino:40f sdev:10\n"));
  ASSERT_TRUE(watches.ok()) << watches.status();
  ASSERT_EQ(watches->size(), 2u);
  EXPECT_EQ(watches->front().number, 5);
  EXPECT_EQ(watches->front().events, 0x1cu);
  EXPECT_EQ(watches->front().data, 0x123456789abcdef0u);
  EXPECT_EQ(watches->front().inode, 0x1bb1c1u);
  EXPECT_EQ(watches->back().events, 0xc0000019u);
  EXPECT_EQ(watches->back().pos, UINT64_MAX);
  EXPECT_EQ(watches->back().device, 0x10u);
}

TEST(EpollInfoTest, NothingWatched) { EXPECT_TRUE(ParseEpollInfo(With("")).value().empty()); }

TEST(EpollInfoTest, Malformed) {
  for (const std::string line : {"tfd: 4 events: 19 data: 5", "tfd: x",
                                 "tfd: 4 events: 19 data: 5 pos:0 ino:1 sdev:f more"}) {
    EXPECT_THAT(ParseEpollInfo(line + "\n").status(), Refuses(BadText{"", "tfd", line}));
  }
}

}  // namespace
}  // namespace dumpctl
