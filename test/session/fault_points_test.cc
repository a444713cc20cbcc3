#include "dump/session/fault_points.h"

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <string>
#include <thread>

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

TEST(FaultPointsTest, StandsUntilAFileIsRemoved) {
  const std::string mark = testing::TempDir() + "stalled-" + std::to_string(getpid());
  const auto faults = FaultPoints::Parse("commit=stall:" + mark);
  ASSERT_TRUE(faults.ok()) << faults.status();
  std::atomic<bool> stands = true;
  std::thread thread([&] {
    EXPECT_TRUE(faults->Reach("commit").ok());
    stands = false;
  });
  for (int i = 0; i < 5000 && access(mark.c_str(), F_OK) != 0; ++i) usleep(1000);
  EXPECT_TRUE(stands);
  EXPECT_EQ(unlink(mark.c_str()), 0);
  thread.join();
}

TEST(FaultPointsTest, RefusesWhatItDoesNotKnow) {
  for (const char* text : {"commit", "commit=", "commit=explode", "commit=stall:", "commit=fail:x",
                           "=fail", "nowhere=fail"}) {
    const auto faults = FaultPoints::Parse(text);
    ASSERT_FALSE(faults.ok()) << text;
    EXPECT_EQ(FailureOf(faults.status()), Failure::kUsage);
    EXPECT_THAT(std::string(faults.status().message()), testing::HasSubstr("collect"));
  }
}

}  // namespace
}  // namespace dumpctl
