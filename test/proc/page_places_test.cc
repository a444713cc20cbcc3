#include "proc/page_places.h"

#include "dumpctl/kernel_abi.h"
#include "gtest/gtest.h"

namespace dumpctl {
namespace {

constexpr uint64_t kSlot = 77 << 5;  // of area 0

TEST(SharedPlaceOfTest, IsTheFrameOfAPageThatOthersMayHave) {
  EXPECT_EQ(SharedPlaceOf(0), kNoPlace);
  EXPECT_EQ(SharedPlaceOf(abi::kPagemapPresent | 42), 42u);
  EXPECT_EQ(SharedPlaceOf(abi::kPagemapPresent | abi::kPagemapFile | abi::kPagemapSoftDirty | 42),
            42u);
  EXPECT_EQ(SharedPlaceOf(abi::kPagemapPresent | abi::kPagemapExclusive | 42), kNoPlace);
}

TEST(SharedPlaceOfTest, IsTheSlotOfWhatIsSwapped) {
  const PagePlace place = SharedPlaceOf(abi::kPagemapSwapped | kSlot | 3);
  EXPECT_NE(place, kNoPlace);
  EXPECT_NE(place, SharedPlaceOf(abi::kPagemapSwapped | kSlot | 4)) << "another area";
  EXPECT_NE(place, SharedPlaceOf(abi::kPagemapPresent | kSlot | 3)) << "a frame of that number";
}

TEST(SharedPlaceOfTest, WhatOnlyLooksSwappedIsNowhere) {
  EXPECT_EQ(SharedPlaceOf(abi::kPagemapSwapped | abi::kPagemapGuard | kSlot), kNoPlace);
  EXPECT_EQ(SharedPlaceOf(abi::kPagemapSwapped | kSlot | 31), kNoPlace) << "a note of the kernel";
  EXPECT_EQ(SharedPlaceOf(abi::kPagemapSwapped), kNoPlace) << "not told";
}

TEST(HidesPlaceTest, IsOfPagesInMemory) {
  EXPECT_TRUE(HidesPlace(abi::kPagemapPresent | abi::kPagemapExclusive));
  EXPECT_FALSE(HidesPlace(abi::kPagemapPresent | 1));
  EXPECT_FALSE(HidesPlace(0));
}

}  // namespace
}  // namespace dumpctl
