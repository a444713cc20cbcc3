#include <sys/mman.h>

#include <algorithm>
#include <cstddef>
#include <vector>

#include "dump/mm/memory_source.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "test/mm/mapped_child.h"

namespace dumpctl {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr uint64_t kLivingPages = 3000;
constexpr uint64_t kHole = 1500;

// Pages by their number, and a hole.
MappedChild ChildWithHole() {
  return MappedChild([]() -> void* {
    char* const memory = Map(kLivingPages);
    if (memory == nullptr) return nullptr;
    for (uint64_t i = 0; i < kLivingPages; ++i) FillPage(memory + i * kPage, i);
    return munmap(memory + kHole * kPage, 2 * kPage) == 0 ? memory : nullptr;
  });
}

class LivingMemoryTest : public ::testing::Test {
 protected:
  // Reads these pages, each a run, and gives the numbers that are in them; 0 for zeros.
  std::vector<uint64_t> Read(const LivingTaskMemory& memory, std::vector<uint64_t> pages) {
    std::vector<PageRun> runs;
    for (const uint64_t page : pages) runs.push_back({child_.Page(page), 1});
    std::vector<std::byte> bytes(pages.size() * kPage, std::byte{0xff});
    const absl::Status status = memory.Read(runs, bytes);
    EXPECT_TRUE(status.ok()) << status;
    std::vector<uint64_t> numbers;
    for (size_t i = 0; i < pages.size(); ++i) {
      const char* page = reinterpret_cast<const char*>(&bytes[i * kPage]);
      const bool zeros = std::all_of(page, page + kPage, [](char byte) { return byte == 0; });
      EXPECT_TRUE(zeros || IsFilledPage(page, pages[i]));
      numbers.push_back(zeros ? 0 : pages[i]);
    }
    return numbers;
  }

  MappedChild child_ = ChildWithHole();
};

TEST_F(LivingMemoryTest, ReadsManySmallRuns) {
  const auto memory = LivingTaskMemory::Open(child_.pid(), child_.Dir(), false);
  ASSERT_TRUE(memory.ok()) << memory.status();
  // More than one call takes.
  std::vector<uint64_t> pages;
  for (uint64_t i = 1; i < kLivingPages; i += 2) {
    if (i < kHole || i > kHole + 1) pages.push_back(i);
  }
  EXPECT_EQ(Read(*memory, pages), pages);
  EXPECT_THAT(memory->Missed(), IsEmpty());
}

TEST_F(LivingMemoryTest, WhatIsNotThereIsZerosAndToldOf) {
  const auto memory = LivingTaskMemory::Open(child_.pid(), child_.Dir(), false);
  ASSERT_TRUE(memory.ok()) << memory.status();
  EXPECT_THAT(Read(*memory, {kHole + 1, kHole + 2}), ElementsAre(0, kHole + 2));
  EXPECT_THAT(Read(*memory, {kHole - 1, kHole, kHole + 2}), ElementsAre(kHole - 1, 0, kHole + 2));
  EXPECT_THAT(memory->Missed(),
              ElementsAre(PageRun{child_.Page(kHole), 1}, PageRun{child_.Page(kHole + 1), 1}));
}

// However much is given back, it takes no more memory to tell of it.
TEST_F(LivingMemoryTest, WhatIsGoneTogetherIsToldOfTogether) {
  const auto memory = LivingTaskMemory::Open(child_.pid(), child_.Dir(), false);
  ASSERT_TRUE(memory.ok()) << memory.status();
  EXPECT_THAT(Read(*memory, {kHole, kHole + 1}), ElementsAre(0, 0));
  EXPECT_THAT(memory->Missed(), ElementsAre(PageRun{child_.Page(kHole), 2}));
}

TEST_F(LivingMemoryTest, TellsWhatOfSomePagesWasNotThere) {
  const auto memory = LivingTaskMemory::Open(child_.pid(), child_.Dir(), false);
  ASSERT_TRUE(memory.ok()) << memory.status();
  EXPECT_THAT(Read(*memory, {kHole - 1, kHole, kHole + 1}), ElementsAre(kHole - 1, 0, 0));
  const auto among = [&](uint64_t page, uint64_t pages) {
    return memory->MissedAmong(std::vector{PageRun{child_.Page(page), pages}});
  };
  EXPECT_THAT(among(0, kLivingPages), ElementsAre(PageRun{child_.Page(kHole), 2}));
  EXPECT_THAT(among(kHole + 1, 5), ElementsAre(PageRun{child_.Page(kHole + 1), 1}));
  EXPECT_THAT(among(kHole - 5, 6), ElementsAre(PageRun{child_.Page(kHole), 1}));
  EXPECT_THAT(among(kHole - 5, 5), IsEmpty());
  EXPECT_THAT(among(kHole + 2, 5), IsEmpty());
}

}  // namespace
}  // namespace dumpctl
