#include "dump/mm/soft_dirty.h"

#include <fcntl.h>
#include <unistd.h>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "test/mm/soft_dirty_child.h"

namespace dumpctl {
namespace {

using ::testing::Contains;
using ::testing::Each;
using ::testing::IsEmpty;

TEST_F(SoftDirtyTest, TellsWhatIsWritten) {
  EXPECT_THAT(Unchanged(nullptr), IsEmpty());
  const SoftDirtyRecord record = Clear();
  EXPECT_TRUE(record.witness);
  EXPECT_EQ(Unchanged(&record).size(), 3 * kTablePages);
  const UniqueFd memory = *child_->Dir().Open("mem", O_RDWR);
  const auto at = static_cast<off_t>(child_->Page(77).value());
  ASSERT_EQ(pwrite(memory.get(), "x", 1, at), 1);
  const auto left = Unchanged(&record);
  EXPECT_EQ(left.size(), 3 * kTablePages - 1);
  EXPECT_THAT(left, Each(testing::Ne(77u)));
}

TEST_F(SoftDirtyTest, WhatWasGivenBackIsNotWhatItWas) {
  const SoftDirtyRecord record = Clear();
  Signal(SIGUSR2);
  const auto left = Unchanged(&record);
  EXPECT_EQ(left.size(), 2 * kTablePages - 1);
  EXPECT_THAT(left, Each(testing::AllOf(testing::Ne(5u), testing::Lt(2 * kTablePages))));
}

TEST_F(SoftDirtyTest, WhatWasMovedByTablesIsNotWhatWasThere) {
  const SoftDirtyRecord record = Clear();
  Signal(SIGUSR1);
  const auto left = Unchanged(&record);
  EXPECT_THAT(left, Each(testing::Ge(2 * kTablePages)));
  EXPECT_THAT(left, Contains(2 * kTablePages + 1));
}

TEST_F(SoftDirtyTest, NothingIsBelievedWhenSomebodyElseHasCleared) {
  const SoftDirtyRecord record = Clear();
  const SoftDirtyRecord other = Clear();
  EXPECT_FALSE(Unchanged(&other).empty());
  const UniqueFd clear_refs = *child_->Dir().Open("clear_refs", O_WRONLY);
  ASSERT_EQ(write(clear_refs.get(), "4", 1), 1);
  EXPECT_THAT(Unchanged(&other), IsEmpty());
  EXPECT_THAT(Unchanged(&record), IsEmpty());
}

TEST(SoftDirtyRecordTest, IsReadAsItWasWritten) {
  const SoftDirtyRecord record{RemoteAddress(0x1000), 0, {{1, 2}, {3, 4}}};
  const auto memfd = record.Write();
  ASSERT_TRUE(memfd.ok()) << memfd.status();
  const auto read = SoftDirtyRecord::Read(BorrowedFd(*memfd));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->witness, record.witness);
  EXPECT_EQ(read->scanned, record.scanned);
  EXPECT_EQ(read->samples, record.samples);
  ASSERT_EQ(ftruncate(memfd->get(), 30), 0);
  EXPECT_EQ(SoftDirtyRecord::Read(BorrowedFd(*memfd)).status().code(), absl::StatusCode::kDataLoss);
  const UniqueFd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(SoftDirtyRecord::Read(BorrowedFd(null)).status().code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace dumpctl
