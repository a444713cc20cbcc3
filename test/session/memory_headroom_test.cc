#include "dump/session/memory_headroom.h"

#include <unistd.h>

#include "gtest/gtest.h"
#include "proc/memory_parsers.h"
#include "proc/proc_fs.h"
#include "test/session/limited_child.h"

namespace dumpctl {
namespace {

TEST(MemoryHeadroomTest, IsAtMostWhatTheHostHas) {
  const auto task = ProcDir::OpenTask(getpid());
  ASSERT_TRUE(task.ok());
  const auto headroom = MemoryHeadroom(*task);
  ASSERT_TRUE(headroom.ok()) << headroom.status();
  const auto proc = ProcDir::OpenRoot();
  const auto available = ParseMemAvailable(*proc->Read("meminfo"));
  ASSERT_TRUE(available.ok());
  // Others take and give back meanwhile.
  EXPECT_LE(*headroom, *available + (uint64_t{1} << 30));
  EXPECT_GT(*headroom, 0u);
}

TEST(MemoryHeadroomTest, CgroupsLimitIt) {
  constexpr uint64_t kLimit = 64 << 20;
  const LimitedChild limited(kLimit);
  if (!limited.in()) GTEST_SKIP() << "memory cgroups cannot be made here";
  const auto task = ProcDir::OpenTask(limited.pid());
  ASSERT_TRUE(task.ok());
  const auto headroom = MemoryHeadroom(*task);
  ASSERT_TRUE(headroom.ok()) << headroom.status();
  EXPECT_LE(*headroom, kLimit);
  EXPECT_GT(*headroom, kLimit / 2);
}

TEST(MemoryHeadroomTest, TellsStrictAccounting) {
  EXPECT_TRUE(IsAccountedStrictly("2\n"));
  EXPECT_FALSE(IsAccountedStrictly("0\n"));
  EXPECT_FALSE(IsAccountedStrictly("1\n"));
  EXPECT_TRUE(IsAccountedStrictly().ok());
}

}  // namespace
}  // namespace dumpctl
