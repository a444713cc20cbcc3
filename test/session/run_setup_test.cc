#include "dump/session/run_setup.h"

#include <sys/resource.h>

#include <fstream>
#include <string>

#include "gtest/gtest.h"

namespace dumpctl {
namespace {

// How many descriptors the kernel has room for (proc_pid_status(5)).
size_t FdSize() {
  std::ifstream status("/proc/self/status");
  std::string word;
  size_t size = 0;
  while (status >> word) {
    if (word == "FDSize:") status >> size;
  }
  return size;
}

TEST(ReserveDescriptorsTest, ThereIsRoomForAsManyAsWeMayHave) {
  ReserveDescriptors(700);
  EXPECT_GE(FdSize(), 700U);
  rlimit limit = {};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  const rlimit before = limit;
  limit.rlim_cur = 900;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
  ReserveDescriptors(100'000);
  EXPECT_GE(FdSize(), 900U);
  EXPECT_LT(FdSize(), 100'000U);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
}

}  // namespace
}  // namespace dumpctl
