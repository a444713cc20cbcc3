#include "proc/value_parsers.h"

#include <sys/personality.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proc/proc_fs.h"

namespace dumpctl {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(ValueParsersTest, TakeOneNumber) {
  EXPECT_EQ(*ParsePersonality("00040000\n"), 0x40000u);
  EXPECT_EQ(*ParsePersonality("ffffffff\n"), 0xffffffffu);
  EXPECT_EQ(*ParseOomScoreAdj("-17\n"), -17);
  EXPECT_EQ(*ParseOomScoreAdj("1000\n"), 1000);
  // loginuid alone ends without a newline.
  EXPECT_EQ(*ParseLoginuid("4294967295"), 4294967295u);
  EXPECT_EQ(*ParseLoginuid("1000"), 1000u);
  EXPECT_EQ(*ParseTimerslack("50000\n"), 50000u);
  EXPECT_EQ(*ParseTimerslack("18446744073709551615\n"), ~uint64_t{0});
}

TEST(ValueParsersTest, ErrorsNameTheFileAndQuoteTheText) {
  const auto check = [](const absl::Status& status, const std::string& file,
                        const std::string& text) {
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
    EXPECT_THAT(
        std::string(status.message()),
        AllOf(StartsWith(absl::StrCat(file, ": field value")),
              HasSubstr(absl::StrCat("\"", absl::StrReplaceAll(text, {{"\n", "\\n"}}), "\""))));
  };
  for (const std::string text : {"", "\n", "0x40000\n", "g\n", "100000000\n", "-1\n", "1 1\n"}) {
    check(ParsePersonality(text).status(), "personality", text);
  }
  for (const std::string text : {"", "\n", "x\n", "+1\n", "1\n1\n", "2147483648\n"}) {
    check(ParseOomScoreAdj(text).status(), "oom_score_adj", text);
  }
  for (const std::string text : {"", "-1", "4294967296", "root"}) {
    check(ParseLoginuid(text).status(), "loginuid", text);
  }
  for (const std::string text : {"", "50000 1\n", "-1\n", "18446744073709551616\n"}) {
    check(ParseTimerslack(text).status(), "timerslack_ns", text);
  }
}

TEST(ValueParsersTest, AgreeWithTheKernel) {
  const auto task = ProcDir::OpenTask(getpid());
  ASSERT_TRUE(task.ok()) << task.status();
  EXPECT_EQ(*ParsePersonality(*task->Read("personality")),
            static_cast<uint32_t>(personality(0xffffffff)));
  EXPECT_EQ(*ParseTimerslack(*task->Read("timerslack_ns")),
            static_cast<uint64_t>(prctl(PR_GET_TIMERSLACK)));
  EXPECT_TRUE(ParseOomScoreAdj(*task->Read("oom_score_adj")).ok());
}

}  // namespace
}  // namespace dumpctl
