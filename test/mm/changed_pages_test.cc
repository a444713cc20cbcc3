#include "dump/mm/changed_pages.h"

#include "dumpctl/kernel_abi.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dumpctl {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr uint64_t kTable = ChangedPages::kTable;
constexpr ZeroFrames kZeros{.page = 7, .huge = 512};
constexpr uint64_t kMarked = abi::kPagemapSoftDirty;

// Of a page in that frame, which nobody else has.
uint64_t Own(uint64_t frame) { return abi::kPagemapPresent | abi::kPagemapExclusive | frame; }
uint64_t Shared(uint64_t frame) { return abi::kPagemapPresent | frame; }

AddressRange Range(uint64_t first, uint64_t end) {
  return {RemoteAddress(first * 4096), RemoteAddress(end * 4096)};
}

// A table of pages from 10 * kTable on, in frames from `frame` on.
constexpr uint64_t kFirst = 10 * kTable;
std::vector<uint64_t> Table(uint64_t frame) {
  std::vector<uint64_t> entries;
  for (uint64_t i = 0; i < kTable; ++i) entries.push_back(Own(frame + i));
  return entries;
}

bool IsForked(uint64_t /*frame*/) { return false; }

std::vector<PageSample> SamplesOf(std::span<const uint64_t> entries, uint64_t forked = 0) {
  ChangedPages pages({}, kZeros, true);
  pages.Add(kFirst, entries, [forked](uint64_t frame) { return frame == forked; });
  return pages.samples();
}

std::vector<AddressRange> Changed(std::span<const PageSample> samples,
                                  std::span<const uint64_t> entries,
                                  const ZeroFrames& zeros = kZeros) {
  ChangedPages pages(samples, zeros, false);
  pages.Add(kFirst, entries, IsForked);
  return pages.changed();
}

TEST(ChangedPagesTest, WhatIsMarkedHasChanged) {
  std::vector<uint64_t> entries = Table(10000);
  const auto samples = SamplesOf(entries);
  EXPECT_THAT(Changed(samples, entries), IsEmpty());
  entries[3] |= kMarked;
  entries[4] |= kMarked;
  entries[511] |= kMarked;
  EXPECT_THAT(Changed(samples, entries),
              ElementsAre(Range(kFirst + 3, kFirst + 5), Range(kFirst + 511, kFirst + 512)));
}

TEST(ChangedPagesTest, WithoutSamplesAllHas) {
  EXPECT_THAT(Changed({}, Table(10000)), ElementsAre(Range(kFirst, kFirst + kTable)));
}

TEST(ChangedPagesTest, WhatWasMovedHereHas) {
  const auto samples = SamplesOf(Table(10000));
  EXPECT_THAT(Changed(samples, Table(20000)), ElementsAre(Range(kFirst, kFirst + kTable)));
}

TEST(ChangedPagesTest, AFrameThatWasWrittenToProvesNothing) {
  // All but the frames themselves was moved here, and they were put among it, which marks them.
  std::vector<uint64_t> entries = Table(20000);
  const auto samples = SamplesOf(Table(10000));
  for (const PageSample& sample : samples)
    entries[sample.page - kFirst] = Own(sample.frame) | kMarked;
  EXPECT_THAT(Changed(samples, entries), ElementsAre(Range(kFirst, kFirst + kTable)));
}

TEST(ChangedPagesTest, OneFrameInItsPlaceIsEnough) {
  std::vector<uint64_t> entries = Table(10000);
  const auto samples = SamplesOf(entries);
  ASSERT_EQ(samples.size(), 4u);
  for (size_t i = 0; i < 3; ++i) entries[samples[i].page - kFirst] |= kMarked;
  EXPECT_EQ(Changed(samples, entries).size(), 3u);
}

TEST(ChangedPagesTest, PagesOfZerosHave) {
  std::vector<uint64_t> entries = Table(10000);
  const auto samples = SamplesOf(entries);
  entries[20] = Shared(kZeros.page);
  entries[21] = Shared(kZeros.huge + 21);
  entries[22] = Shared(kZeros.huge + 512);
  EXPECT_THAT(Changed(samples, entries), ElementsAre(Range(kFirst + 20, kFirst + 22)));
  // Of what is not known to be none, neither.
  for (const ZeroFrames unknown : {ZeroFrames{0, 512}, ZeroFrames{7, 0}}) {
    EXPECT_THAT(Changed(samples, entries, unknown), ElementsAre(Range(kFirst + 20, kFirst + 23)));
  }
}

TEST(ChangedPagesTest, WhatIsSwappedHasContentAndMarksHaveNone) {
  std::vector<uint64_t> entries = Table(10000);
  const auto samples = SamplesOf(entries);
  entries[20] = abi::kPagemapSwapped | 99;
  entries[21] = abi::kPagemapSwapped | 99 | kMarked;
  entries[22] = abi::kPagemapSwapped | abi::kPagemapUffdWp;
  entries[23] = 0;
  EXPECT_THAT(Changed(samples, entries), ElementsAre(Range(kFirst + 21, kFirst + 24)));
}

TEST(ChangedPagesTest, SamplesAreOfNothingThatMayBeElsewhere) {
  const uint64_t others[] = {
      0, Shared(900), abi::kPagemapSwapped | 99, Own(901) | abi::kPagemapFile, Own(0), Own(902)};
  EXPECT_THAT(SamplesOf(others), ElementsAre(PageSample{kFirst + 5, 902}));
}

TEST(ChangedPagesTest, NobodyIsAskedOfZerosOrOfWhatNobodyWants) {
  const uint64_t entries[] = {Shared(kZeros.page), Shared(kZeros.huge + 1), Own(900), Shared(901)};
  const auto never = [](uint64_t frame) { return ADD_FAILURE() << frame, false; };
  ChangedPages wanted({}, kZeros, true);
  wanted.Add(kFirst, entries, never);
  EXPECT_THAT(wanted.samples(), ElementsAre(PageSample{kFirst + 2, 900}));
  ChangedPages unwanted({}, kZeros, false);
  unwanted.Add(kFirst, {&entries[3], 1}, never);
  EXPECT_THAT(unwanted.samples(), IsEmpty());
}

TEST(ChangedPagesTest, PagesThatForkedProcessesShareAreAtOnePlaceEach) {
  const uint64_t others[] = {Shared(kZeros.page), Shared(2000) | abi::kPagemapFile, Shared(2001)};
  EXPECT_THAT(SamplesOf(others), IsEmpty());
  EXPECT_THAT(SamplesOf(others, 2001), ElementsAre(PageSample{kFirst + 2, 2001}));
}

TEST(ChangedPagesTest, TablesHaveTheirOwnSamples) {
  std::vector<PageSample> samples = {
      {kFirst, 1000}, {kFirst + kTable, 2000}, {kFirst + 3 * kTable, 3000}};
  ChangedPages pages(samples, kZeros, true);
  const std::vector<uint64_t> one = {Own(1000), Own(1001)};
  const std::vector<uint64_t> other = {Own(2001), Own(2000)};
  const std::vector<uint64_t> last = {Own(3000), Own(1)};
  pages.Add(kFirst, one, IsForked);
  pages.Add(kFirst + kTable, other, IsForked);
  pages.Add(kFirst + 2 * kTable, one, IsForked);
  pages.Add(kFirst + 3 * kTable, last, IsForked);
  EXPECT_THAT(pages.changed(), ElementsAre(Range(kFirst + kTable, kFirst + kTable + 2),
                                           Range(kFirst + 2 * kTable, kFirst + 2 * kTable + 2)));
}

TEST(UnionOfTest, JoinsWhatTouches) {
  const AddressRange one[] = {Range(1, 3), Range(5, 6), Range(20, 30)};
  const AddressRange other[] = {Range(2, 4), Range(6, 7), Range(21, 22), Range(40, 41)};
  EXPECT_THAT(UnionOf(one, other),
              ElementsAre(Range(1, 4), Range(5, 7), Range(20, 30), Range(40, 41)));
  EXPECT_THAT(UnionOf({}, {}), IsEmpty());
}

}  // namespace
}  // namespace dumpctl
