#include "dump/mm/divided_memory.h"

#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dumpctl {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr uint64_t kLeast = kWorthDividing / kImagePageSize;

PageRun RunAt(uint64_t page, uint64_t pages) {
  return {RemoteAddress(page * kImagePageSize), pages};
}

TEST(DividedMemoryTest, TheFirstHalfOfALargeTaskIsAFamilyOfItsOwn) {
  const std::vector<PageRun> little = {RunAt(1, kLeast - 1)};
  const std::vector<PageRun> large = {RunAt(10, 3), RunAt(1000, kLeast), RunAt(1u << 30, 3)};
  const std::vector<std::span<const PageRun>> runs = {little, large, {}};
  SharedPages shared;
  DivideLarge(runs, shared);
  ASSERT_EQ(shared.families.size(), 1u);
  EXPECT_THAT(shared.families[0].members, ElementsAre(1));
  EXPECT_EQ(shared.families[0].pages, (kLeast + 6) / 2);
  EXPECT_EQ(shared.references, shared.families[0].pages);
  ASSERT_EQ(shared.in_family.size(), 3u);
  EXPECT_THAT(shared.in_family[0], IsEmpty());
  EXPECT_THAT(shared.in_family[2], IsEmpty());
  ASSERT_EQ(shared.in_family[1].size(), 2u);
  EXPECT_TRUE(shared.in_family[1][0] == RunAt(10, 3));
  EXPECT_TRUE(shared.in_family[1][1] == RunAt(1000, kLeast / 2));
  EXPECT_FALSE(FamilyOfDivided(shared, 0));
  EXPECT_EQ(FamilyOfDivided(shared, 1), 0u);
  const std::vector<PageRun> left = RunsWithout(large, shared.in_family[1]);
  EXPECT_EQ(PagesOf(left) + shared.families[0].pages, kLeast + 6);

  // Those that become known later have families behind it.
  const std::vector<std::span<const PageRun>> later = {large, left, {}};
  DivideLarge(later, shared);
  ASSERT_EQ(shared.families.size(), 2u);
  EXPECT_EQ(FamilyOfDivided(shared, 1), 0u);
  EXPECT_EQ(FamilyOfDivided(shared, 0), 1u);
}

TEST(DividedMemoryTest, WhoSharesIsNotDivided) {
  const std::vector<PageRun> large = {RunAt(1000, 2 * kLeast)};
  const std::vector<std::span<const PageRun>> runs = {large, large};
  SharedPages shared;
  shared.families.push_back({.members = {0, 1}, .stretches = {{RunAt(1, 1), 0}}, .pages = 1});
  shared.in_family = {{RunAt(1, 1)}, {RunAt(1, 1)}};
  DivideLarge(runs, shared);
  EXPECT_EQ(shared.families.size(), 1u);
  EXPECT_FALSE(FamilyOfDivided(shared, 0));
}

}  // namespace
}  // namespace dumpctl
