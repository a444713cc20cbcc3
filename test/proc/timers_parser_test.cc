#include "proc/timers_parser.h"

#include <signal.h>

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "test/proc/malformed.h"

namespace dumpctl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Linux 6.18, each kind once.
TEST(TimersParserTest, TakesEveryKind) {
  const auto timers = ParseTimers(
      "ID: 4\nsignal: 34/ffff888000001234\nnotify: thread/pid.9408\nClockID: 0\n"
      "ID: 3\nsignal: 34/000000000000002a\nnotify: signal/pid.9408\nClockID: -6\n"
      "ID: 2\nsignal: 34/00007fff0000002a\nnotify: signal/tid.9409\nClockID: 1\n"
      "ID: 1\nsignal: 34/0000000000000000\nnotify: none/pid.9408\nClockID: 1\n"
      "ID: 0\nsignal: 14/0000000000000000\nnotify: signal/pid.9408\nClockID: 11\n");
  ASSERT_TRUE(timers.ok()) << timers.status();
  EXPECT_THAT(
      *timers,
      ElementsAre(
          PosixTimer{.id = 4,
                     .clock_id = 0,
                     .signal = 34,
                     .notify = SIGEV_THREAD,
                     .sigev_value = 0xffff888000001234},
          PosixTimer{
              .id = 3, .clock_id = -6, .signal = 34, .notify = SIGEV_SIGNAL, .sigev_value = 42},
          PosixTimer{.id = 2,
                     .clock_id = 1,
                     .signal = 34,
                     .notify = SIGEV_THREAD_ID,
                     .sigev_value = 0x7fff0000002a,
                     .notify_tid = 9409},
          PosixTimer{.id = 1, .clock_id = 1, .signal = 34, .notify = SIGEV_NONE},
          PosixTimer{.id = 0, .clock_id = 11, .signal = 14, .notify = SIGEV_SIGNAL}));
  EXPECT_TRUE(ParseTimers("")->empty());
}

// The example of proc_pid_timers(5).
TEST(TimersParserTest, Linux3PrintsTheSame) {
  const auto timers = ParseTimers(
      "ID: 1\nsignal: 60/00007fff86e452a8\nnotify: signal/pid.2634\nClockID: 0\n"
      "ID: 0\nsignal: 60/00007fff86e452a8\nnotify: signal/pid.2634\nClockID: 1\n");
  ASSERT_TRUE(timers.ok()) << timers.status();
  ASSERT_EQ(timers->size(), 2u);
  EXPECT_EQ((*timers)[1], (PosixTimer{.id = 0,
                                      .clock_id = 1,
                                      .signal = 60,
                                      .notify = SIGEV_SIGNAL,
                                      .sigev_value = 0x7fff86e452a8}));
}

class BadTimersTest : public ::testing::TestWithParam<BadText> {};

TEST_P(BadTimersTest, QuotesTheLineAndNamesTheField) {
  EXPECT_THAT(ParseTimers(GetParam().text).status(), Refuses(GetParam()));
}

const BadText kBadTimersTexts[] = {
    {"\n", "ID", ""},
    {"signal: 1/0\n", "ID", "signal: 1/0"},
    {"ID: x\n", "ID", "ID: x"},
    {"ID: 2147483648\n", "ID", "ID: 2147483648"},
    {"ID: 2\nnotify: none/pid.1\n", "signal", "notify: none/pid.1"},
    {"ID: 2\nsignal: 34\n", "signal", "signal: 34"},
    {"ID: 2\nsignal: 34/\n", "signal", "signal: 34/"},
    {"ID: 2\nsignal: /0\n", "signal", "signal: /0"},
    {"ID: 2\nsignal: 34/10000000000000000\n", "signal", "signal: 34/10000000000000000"},
    {"ID: 2\nsignal: 34/(null)\n", "signal", "signal: 34/(null)"},
    {"ID: 2\nsignal: 34/0\nClockID: 1\n", "notify", "ClockID: 1"},
    {"ID: 2\nsignal: 34/0\nnotify: signal\n", "notify", "notify: signal"},
    {"ID: 2\nsignal: 34/0\nnotify: callback/pid.1\n", "notify", "notify: callback/pid.1"},
    {"ID: 2\nsignal: 34/0\nnotify: signal/cpu.1\n", "notify", "notify: signal/cpu.1"},
    {"ID: 2\nsignal: 34/0\nnotify: signal/pid.\n", "notify", "notify: signal/pid."},
    {"ID: 2\nsignal: 34/0\nnotify: none/pid.1\nClockID: REALTIME\n", "ClockID",
     "ClockID: REALTIME"},
    {"ID: 2\nsignal: 34/0\nnotify: none/pid.1\nClockID: 0\nClockID: 0\n", "ID", "ClockID: 0"},
};
INSTANTIATE_TEST_SUITE_P(Fields, BadTimersTest, ::testing::ValuesIn(kBadTimersTexts));

TEST(TimersParserTest, TextThatWasCutShortNamesWhatLacks) {
  for (const auto& [text, field] : std::vector<std::pair<std::string, std::string>>{
           {"ID: 2\n", "signal"},
           {"ID: 2\nsignal: 34/0\n", "notify"},
           {"ID: 2\nsignal: 34/0\nnotify: none/pid.1\n", "ClockID"}}) {
    const absl::Status status = ParseTimers(text).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
    EXPECT_THAT(std::string(status.message()), HasSubstr("no field " + field));
  }
}

}  // namespace
}  // namespace dumpctl
