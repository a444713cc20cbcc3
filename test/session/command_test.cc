#include "dump/session/command.h"

#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dumpctl {
namespace {

using testing::HasSubstr;

TEST(CommandTest, ReadsItsInputEachTime) {
  auto command = Command::Prepare({"sh", "-c", "read word; test \"$word\" = known"}, "known\n");
  ASSERT_TRUE(command.ok()) << command.status();
  const Command moved = *std::move(command);
  for (int i = 0; i < 2; ++i) {
    const absl::Status status = moved.Run();
    EXPECT_TRUE(status.ok()) << status;
  }
}

TEST(CommandTest, SaysWhatItSays) {
  const auto command = Command::Prepare({"sh", "-c", "echo bad luck >&2; exit 3"}, "");
  ASSERT_TRUE(command.ok()) << command.status();
  EXPECT_EQ(command->Run().message(), "sh failed: bad luck");
  EXPECT_NE(command->Execute(-1), 0);
}

TEST(CommandTest, MustBeThere) {
  const absl::Status status = Command::Prepare({"no-such-program"}, "").status();
  EXPECT_TRUE(absl::IsNotFound(status));
  EXPECT_THAT(status.message(), HasSubstr("no-such-program is not installed"));
}

}  // namespace
}  // namespace dumpctl
