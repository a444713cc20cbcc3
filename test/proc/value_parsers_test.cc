#include "proc/value_parsers.h"

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
  EXPECT_EQ(*ParseOomScoreAdj("-17\n"), -17);
  EXPECT_EQ(*ParseOomScoreAdj("1000\n"), 1000);
  // loginuid alone ends without a newline.
  EXPECT_EQ(*ParseLoginuid("4294967295"), 4294967295u);
  EXPECT_EQ(*ParseLoginuid("1000"), 1000u);
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
  for (const std::string text : {"", "\n", "x\n", "+1\n", "1\n1\n", "2147483648\n"}) {
    check(ParseOomScoreAdj(text).status(), "oom_score_adj", text);
  }
  for (const std::string text : {"", "-1", "4294967296", "root"}) {
    check(ParseLoginuid(text).status(), "loginuid", text);
  }
}

TEST(ValueParsersTest, AgreeWithTheKernel) {
  const auto task = ProcDir::OpenTask(getpid());
  ASSERT_TRUE(task.ok()) << task.status();
  EXPECT_TRUE(ParseOomScoreAdj(*task->Read("oom_score_adj")).ok());
}

}  // namespace
}  // namespace dumpctl
