#include "dump/session/self_writing.h"

#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <optional>

#include "absl/status/status.h"
#include "dump/tracee/frozen_task.h"
#include "gtest/gtest.h"
#include "proc/proc_fs.h"
#include "test/session/limited_child.h"
#include "test/tracee/child.h"

namespace dumpctl {
namespace {

const KeptPages kNone;

int Pause(int ready) {
  Ready(ready);
  for (;;) pause();
}

ProcessCopy CopyOf(pid_t pid) {
  auto task = FrozenTask::Freeze(pid, Soon());
  EXPECT_TRUE(task.ok()) << task.status();
  auto copy = ProcessCopy::Make(*task);
  EXPECT_TRUE(copy.ok()) << copy.status();
  return *std::move(copy);
}

TEST(SelfWritingTest, WhoHasNoLimitsOfItsOwnMay) {
  const Child child(Pause);
  EXPECT_FALSE(IsLimitedApart(*ProcDir::OpenTask(child.pid())));
  const ProcessCopy copy = CopyOf(child.pid());
  const auto writer = WritersOf(copy, std::nullopt, kNone, 1);
  EXPECT_TRUE(writer.ok()) << writer.status();
}

// The page cache that it filled would be its own.
TEST(SelfWritingTest, WhoseMemoryIsLimitedMayNot) {
  const LimitedChild limited(64 << 20);
  if (!limited.in()) GTEST_SKIP() << "memory cgroups cannot be made here";
  EXPECT_TRUE(IsLimitedApart(*ProcDir::OpenTask(limited.pid())));
  const ProcessCopy copy = CopyOf(limited.pid());
  EXPECT_TRUE(absl::IsFailedPrecondition(WritersOf(copy, std::nullopt, kNone, 1).status()));
}

TEST(SelfWritingTest, LimitsOfTheProcessAreNotThoseOfItsCopy) {
  const Child child([](int ready) {
    const rlimit little = {1 << 20, RLIM_INFINITY};
    setrlimit(RLIMIT_FSIZE, &little);
    return Pause(ready);
  });
  const ProcessCopy copy = CopyOf(child.pid());
  EXPECT_TRUE(WritersOf(copy, std::nullopt, kNone, 1).ok());
  rlimit limit = {};
  ASSERT_EQ(prlimit(copy.pid(), RLIMIT_FSIZE, nullptr, &limit), 0);
  EXPECT_EQ(limit.rlim_cur, RLIM_INFINITY);
  ASSERT_EQ(prlimit(child.pid(), RLIMIT_FSIZE, nullptr, &limit), 0);
  EXPECT_EQ(limit.rlim_cur, rlim_t{1 << 20});
}

TEST(SelfWritingTest, ItIsScheduledAsWeAre) {
  if (getuid() != 0) GTEST_SKIP() << "priorities take root";
  const Child child([](int ready) {
    setpriority(PRIO_PROCESS, 0, 15);
    const sched_param first = {1};
    if (sched_setscheduler(0, SCHED_FIFO, &first) != 0) return 1;
    return Pause(ready);
  });
  ASSERT_EQ(sched_getscheduler(child.pid()), SCHED_FIFO);
  const ProcessCopy copy = CopyOf(child.pid());
  ASSERT_TRUE(WritersOf(copy, std::nullopt, kNone, 1).ok());
  EXPECT_EQ(sched_getscheduler(copy.pid()), SCHED_OTHER);
  EXPECT_EQ(getpriority(PRIO_PROCESS, static_cast<id_t>(copy.pid())), getpriority(PRIO_PROCESS, 0));
  EXPECT_EQ(sched_getscheduler(child.pid()), SCHED_FIFO);
}

size_t ThreadsOf(const ProcessCopy& copy) { return ListNumbers(copy.dir(), "task")->size(); }

TEST(SelfWritingTest, TwoWriteAtTheSameTimeAndTheSecondEndsWithItsWriter) {
  const Child child(Pause);
  const ProcessCopy copy = CopyOf(child.pid());
  {
    const auto writers = WritersOf(copy, std::nullopt, kNone, 2);
    ASSERT_TRUE(writers.ok()) << writers.status();
    ASSERT_EQ(writers->size(), 2u);
    EXPECT_EQ(ThreadsOf(copy), 2u);
  }
  EXPECT_EQ(ThreadsOf(copy), 1u);
}

}  // namespace
}  // namespace dumpctl
