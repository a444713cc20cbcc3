#include "proc/timens_parser.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dumpctl {
namespace {

using testing::HasSubstr;

TEST(TimensParserTest, ReadsOffsets) {
  // Linux 6.18, initial namespace.
  auto offsets = ParseTimensOffsets(
      "monotonic           0         0\n"
      "boottime            0         0\n");
  ASSERT_TRUE(offsets.ok()) << offsets.status();
  EXPECT_EQ(offsets->monotonic.tv_sec, 0);
  // Linux 6.18, a restored task.
  offsets = ParseTimensOffsets(
      "monotonic          -5 758810106\n"
      "boottime           12 758726297\n");
  ASSERT_TRUE(offsets.ok()) << offsets.status();
  EXPECT_EQ(offsets->monotonic.tv_sec, -5);
  EXPECT_EQ(offsets->monotonic.tv_nsec, 758810106);
  EXPECT_EQ(offsets->boottime.tv_sec, 12);
  EXPECT_EQ(offsets->boottime.tv_nsec, 758726297);
  // Linux 5.6.
  offsets = ParseTimensOffsets("1 172800 0\n7 86400 0\n");
  ASSERT_TRUE(offsets.ok()) << offsets.status();
  EXPECT_EQ(offsets->monotonic.tv_sec, 172800);
  EXPECT_EQ(offsets->boottime.tv_sec, 86400);
}

TEST(TimensParserTest, NamesWhatIsWrong) {
  struct Row {
    const char* text;
    const char* says;
  };
  for (const Row& row : {
           Row{"", "field monotonic"},
           Row{"monotonic 0 0\n", "field boottime"},
           Row{"boottime 0 0\n", "field monotonic"},
           Row{"monotonic 0 0\nmonotonic 0 0\n", "field clock"},
           Row{"realtime 0 0\n", "\"realtime 0 0\""},
           Row{"monotonic 0\n", "field clock"},
           Row{"monotonic 0 0 0\n", "field clock"},
           Row{"monotonic x 0\n", "field seconds is malformed in \"monotonic x 0\""},
           Row{"monotonic 99999999999999999999 0\n", "field seconds"},
           Row{"monotonic 0 -1\n", "field nanoseconds"},
           Row{"monotonic 0 1000000000\n", "field nanoseconds"},
       }) {
    const auto offsets = ParseTimensOffsets(row.text);
    ASSERT_FALSE(offsets.ok()) << row.text;
    EXPECT_EQ(offsets.status().code(), absl::StatusCode::kDataLoss);
    EXPECT_THAT(std::string(offsets.status().message()), HasSubstr(row.says)) << row.text;
  }
}

}  // namespace
}  // namespace dumpctl
