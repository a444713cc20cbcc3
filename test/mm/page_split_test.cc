#include "dump/mm/page_split.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dumpctl {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

PageRun Pages(uint64_t first, uint64_t pages) {
  return {RemoteAddress(first * kImagePageSize), pages};
}
AddressRange Dirty(uint64_t first, uint64_t pages) {
  return {RemoteAddress(first * kImagePageSize), RemoteAddress((first + pages) * kImagePageSize)};
}

TEST(SplitByParentTest, LeavesOnlyWhatIsCleanAndSaved) {
  const PageRun pages[] = {Pages(10, 10), Pages(30, 5)};
  const AddressRange dirty[] = {Dirty(5, 6), Dirty(13, 1), Dirty(19, 12)};
  const PageRun parent[] = {Pages(8, 8), Pages(18, 20)};
  const SplitPages split = SplitByParent(pages, dirty, parent);
  EXPECT_THAT(split.written,
              ElementsAre(Pages(10, 1), Pages(13, 1), Pages(16, 2), Pages(19, 1), Pages(30, 1)));
  EXPECT_THAT(split.in_parent, ElementsAre(Pages(11, 2), Pages(14, 2), Pages(18, 1), Pages(31, 4)));
}

TEST(SplitByParentTest, WritesAllThatTheParentLacksOrNobodyKnows) {
  const PageRun pages[] = {Pages(1, 4)};
  const PageRun parent[] = {Pages(1, 4)};
  const AddressRange dirty[] = {Dirty(0, 100)};
  EXPECT_THAT(SplitByParent(pages, {}, {}).written, ElementsAre(Pages(1, 4)));
  EXPECT_THAT(SplitByParent(pages, dirty, parent).written, ElementsAre(Pages(1, 4)));
  EXPECT_THAT(SplitByParent(pages, dirty, parent).in_parent, IsEmpty());
  EXPECT_THAT(SplitByParent(pages, {}, parent).in_parent, ElementsAre(Pages(1, 4)));
  EXPECT_THAT(SplitByParent({}, dirty, parent).written, IsEmpty());
}

// Every way in which three pages can be told of, against the rule page by page.
TEST(SplitByParentTest, HoldsToTheRule) {
  constexpr unsigned kWays = 1 << 4;
  const auto ranges = [](unsigned bits) {
    std::vector<AddressRange> made;
    for (unsigned i = 0; i < 4; ++i) {
      if (bits >> i & 1) made.push_back(Dirty(i, 1));
    }
    return made;
  };
  for (unsigned dirty = 0; dirty < kWays; ++dirty) {
    for (unsigned saved = 0; saved < kWays; ++saved) {
      std::vector<PageRun> parent;
      for (const AddressRange& range : ranges(saved)) parent.push_back({range.start, 1});
      const PageRun pages[] = {Pages(0, 4)};
      const SplitPages split = SplitByParent(pages, ranges(dirty), parent);
      unsigned left = 0;
      unsigned written = 0;
      for (const PageRun& run : split.in_parent) {
        for (uint64_t i = 0; i < run.pages; ++i)
          left |= 1u << (run.start.value() / kImagePageSize + i);
      }
      for (const PageRun& run : split.written) {
        for (uint64_t i = 0; i < run.pages; ++i)
          written |= 1u << (run.start.value() / kImagePageSize + i);
      }
      EXPECT_EQ(left, saved & ~dirty) << dirty << " " << saved;
      EXPECT_EQ(written, (kWays - 1) & ~left);
    }
  }
}

}  // namespace
}  // namespace dumpctl
