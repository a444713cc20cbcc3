#include <unistd.h>

#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "test/mm/soft_dirty_child.h"

namespace dumpctl {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::IsEmpty;
using ::testing::Ne;
using ::testing::Not;

constexpr char kRun[] = "/sys/kernel/mm/ksm/run";

uint64_t Number(const std::string& path) {
  uint64_t number = 0;
  std::ifstream(path) >> number;
  return number;
}

// Has the kernel merge equal pages while it lives, which it does not before.
class Merging {
 public:
  Merging() { std::ofstream(kRun) << 1; }
  ~Merging() {
    Undo();
    std::ofstream(kRun) << 0;
  }

  void Undo() const { std::ofstream(kRun) << 2; }
};

// Two pages are written to, and are alike: then they are one, and neither need have its bit. Nor
// has each of its own again one, since Linux 6.2.
TEST_F(SoftDirtyTest, WhatWasMergedIsNotWhatItWas) {
  if (access(kRun, W_OK) != 0) GTEST_SKIP() << "the kernel merges no pages";
  if (Number(kRun) != 0) GTEST_SKIP() << "the kernel merges pages of others";
  const auto neither = Each(AllOf(Ne(3u), Ne(4u)));
  const SoftDirtyRecord record = Clear();
  EXPECT_THAT(Unchanged(&record), Not(IsEmpty()));
  {
    const Merging merging;
    Signal(SIGHUP);
    const auto merged = [] { return Number("/sys/kernel/mm/ksm/pages_sharing") > 0; };
    for (int i = 0; i < 10000 && !merged(); ++i) usleep(1000);
    ASSERT_TRUE(merged());
    EXPECT_THAT(Unchanged(&record), neither);
    Signal(SIGALRM);
    EXPECT_FALSE(merged());
    EXPECT_THAT(Unchanged(&record), neither);
    merging.Undo();
    EXPECT_THAT(Unchanged(&record), neither);
  }
  EXPECT_THAT(Unchanged(&record), neither);
  const SoftDirtyRecord later = Clear();
  EXPECT_THAT(Unchanged(&later), Not(IsEmpty()));
}

}  // namespace
}  // namespace dumpctl
