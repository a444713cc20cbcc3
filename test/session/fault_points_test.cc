#include "dump/session/fault_points.h"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <string>

#include "dumpctl/failure.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dumpctl {
namespace {

TEST(FaultPointsTest, FailsAtItsPointAlone) {
  for (const std::string_view point : kFaultPoints) {
    const auto faults = FaultPoints::Parse(std::string(point) + "=fail");
    ASSERT_TRUE(faults.ok()) << faults.status();
    for (const std::string_view other : kFaultPoints) {
      EXPECT_EQ(faults->Reach(other).ok(), other != point) << point << " at " << other;
    }
  }
}

TEST(FaultPointsTest, NoneByDefault) {
  const auto faults = FaultPoints::Parse("");
  ASSERT_TRUE(faults.ok());
  for (const std::string_view point : kFaultPoints) EXPECT_TRUE(faults->Reach(point).ok());
}

TEST(FaultPointsTest, KillsItself) {
  const auto faults = FaultPoints::Parse("commit=kill");
  ASSERT_TRUE(faults.ok());
  const pid_t child = fork();
  if (child == 0) {
    (void)faults->Reach("commit");
    _exit(0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

TEST(FaultPointsTest, RefusesWhatItDoesNotKnow) {
  for (const char* text : {"commit", "commit=", "commit=explode", "=fail", "nowhere=fail"}) {
    const auto faults = FaultPoints::Parse(text);
    ASSERT_FALSE(faults.ok()) << text;
    EXPECT_EQ(FailureOf(faults.status()), Failure::kUsage);
    EXPECT_THAT(std::string(faults.status().message()), testing::HasSubstr("collect"));
  }
}

}  // namespace
}  // namespace dumpctl
