#include "proc/limits_parser.h"

#include <unistd.h>

#include <string>

#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proc/proc_fs.h"
#include "test/proc/malformed.h"

namespace dumpctl {
namespace {

using ::testing::HasSubstr;

// Linux 6.18, but for a few of the values.
constexpr char kLimits[] =
    "Limit                     Soft Limit           Hard Limit           Units     \n"
    "Max cpu time              unlimited            unlimited            seconds   \n"
    "Max file size             unlimited            unlimited            bytes     \n"
    "Max data size             unlimited            unlimited            bytes     \n"
    "Max stack size            8388608              unlimited            bytes     \n"
    "Max core file size        0                    unlimited            bytes     \n"
    "Max resident set          unlimited            unlimited            bytes     \n"
    "Max processes             96364                96364                processes \n"
    "Max open files            1024                 20000                files     \n"
    "Max locked memory         8388608              8388608              bytes     \n"
    "Max address space         unlimited            unlimited            bytes     \n"
    "Max file locks            unlimited            unlimited            locks     \n"
    "Max pending signals       96364                96364                signals   \n"
    "Max msgqueue size         819200               819200               bytes     \n"
    "Max nice priority         0                    0                    \n"
    "Max realtime priority     0                    0                    \n"
    "Max realtime timeout      unlimited            18446744073709551614 us        \n";

TEST(LimitsParserTest, TakesEveryLimit) {
  const auto limits = ParseLimits(kLimits);
  ASSERT_TRUE(limits.ok()) << limits.status();
  EXPECT_EQ((*limits)[RLIMIT_STACK], (Rlimit{.soft = 8388608, .hard = RLIM_INFINITY}));
  EXPECT_EQ((*limits)[RLIMIT_CORE], (Rlimit{.soft = 0, .hard = RLIM_INFINITY}));
  EXPECT_EQ((*limits)[RLIMIT_NOFILE], (Rlimit{.soft = 1024, .hard = 20000}));
  EXPECT_EQ((*limits)[RLIMIT_NICE], (Rlimit{.soft = 0, .hard = 0}));
  EXPECT_EQ((*limits)[RLIMIT_RTTIME], (Rlimit{.soft = RLIM_INFINITY, .hard = RLIM_INFINITY - 1}));
}

TEST(LimitsParserTest, AgreesWithTheKernel) {
  const auto dir = ProcDir::OpenTask(getpid());
  ASSERT_TRUE(dir.ok());
  const auto limits = ParseLimits(*dir->Read("limits"));
  ASSERT_TRUE(limits.ok()) << limits.status();
  for (int resource = 0; resource < RLIM_NLIMITS; ++resource) {
    rlimit mine;
    ASSERT_EQ(getrlimit(static_cast<__rlimit_resource>(resource), &mine), 0);
    EXPECT_EQ((*limits)[static_cast<size_t>(resource)], (Rlimit{mine.rlim_cur, mine.rlim_max}))
        << resource;
  }
}

// kLimits with one text in it replaced.
BadText WithLimit(const std::string& what, const std::string& by, const std::string& field,
                  const std::string& line) {
  return {absl::StrReplaceAll(kLimits, {{what, by}}), field, line};
}

class BadLimitsTest : public ::testing::TestWithParam<BadText> {};

TEST_P(BadLimitsTest, QuotesTheLineAndNamesTheField) {
  EXPECT_THAT(ParseLimits(GetParam().text).status(), Refuses(GetParam()));
}

const BadText kBadLimitsTexts[] = {
    {"", "heading", ""},
    {"Max cpu time 1 1 seconds\n", "heading", "Max cpu time 1 1 seconds"},
    {"Limit\nMax cpu time   x 5 s\n", "Max cpu time", "Max cpu time   x 5 s"},
    {"Limit\nMax cpu time   5 infinite s\n", "Max cpu time", "Max cpu time   5 infinite s"},
    {"Limit\nMax cpu time   5\n", "Max cpu time", "Max cpu time   5"},
    {"Limit\nMax cpu time   5 6 s s\n", "Max cpu time", "Max cpu time   5 6 s s"},
    {"Limit\nMax fun 1 5\n", "Limit", "Max fun 1 5"},
    {"Limit\n\n", "Limit", ""},
    {"Limit\nMax cpu time 1 1 s\nMax cpu time 2 2 s\n", "Max cpu time", "Max cpu time 2 2 s"},
    WithLimit("20000                files     ", "18446744073709551616 files", "Max open files",
              "Max open files            1024                 18446744073709551616 files"),
    WithLimit("Max nice priority         0                    0                    ",
              "Max nice priority         0 -20", "Max nice priority",
              "Max nice priority         0 -20"),
};
INSTANTIATE_TEST_SUITE_P(Fields, BadLimitsTest, ::testing::ValuesIn(kBadLimitsTexts));

TEST(LimitsParserTest, AMissingLimitIsNamed) {
  const std::string text = kLimits;
  const absl::Status status =
      ParseLimits(text.substr(0, text.find("Max realtime timeout"))).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("no field Max realtime timeout"));
}

}  // namespace
}  // namespace dumpctl
