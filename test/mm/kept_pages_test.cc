#include "dump/mm/kept_pages.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "dumpctl/failure.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "test/mm/mapped_child.h"

namespace dumpctl {
namespace {

// Pages of the task are numbered; the copy has zeros where they are kept.
constexpr size_t kNumbered = 12;

void* NumberedPages() {
  char* const memory = Map(kNumbered);
  for (size_t i = 0; memory != nullptr && i < kNumbered; ++i) FillPage(memory + i * kPage, 100 + i);
  return memory;
}

void* PagesWithHoles() {
  char* const memory = static_cast<char*>(NumberedPages());
  for (const size_t i : {2, 3, 7}) {
    if (memory != nullptr) std::memset(memory + i * kPage, 0, kPage);
  }
  return memory;
}

TEST(KeptPagesTest, StandInForPagesThatACopyLacks) {
  const MappedChild task(NumberedPages);
  const MappedChild copy([&] {
    void* const memory = PagesWithHoles();
    // Where the task has it; two children may have got the same place.
    if (memory == reinterpret_cast<void*>(task.base().value())) return memory;
    return mremap(memory, kNumbered * kPage, kNumbered * kPage, MREMAP_MAYMOVE | MREMAP_FIXED,
                  reinterpret_cast<void*>(task.base().value()));
  });
  ASSERT_EQ(copy.base(), task.base());
  const auto source = FrozenTaskMemory::Open(task.pid(), task.Dir(), task.Vmas());
  ASSERT_TRUE(source.ok()) << source.status();
  auto kept = KeptPages::Read(*source, {{task.Page(2), 2}, {task.Page(7), 1}});
  ASSERT_TRUE(kept.ok()) << kept.status();
  EXPECT_TRUE(kept->At(task.Page(1)).empty());
  EXPECT_EQ(kept->At(task.Page(3)).size(), kPage);
  EXPECT_EQ(kept->NextAfter(task.Page(4)), task.Page(7));

  auto memory = FrozenTaskMemory::OpenSharing(copy.pid(), copy.Dir());
  ASSERT_TRUE(memory.ok()) << memory.status();
  const CopiedTaskMemory copied(*std::move(memory), *std::move(kept));
  // Runs that begin and end anywhere.
  const std::vector<PageRun> runs = {{task.Page(0), 3}, {task.Page(3), 6}, {task.Page(10), 2}};
  std::vector<std::byte> bytes(11 * kPage);
  ASSERT_TRUE(copied.Read(runs, bytes).ok());
  const char* page = reinterpret_cast<const char*>(bytes.data());
  for (const size_t i : {0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11}) {
    EXPECT_TRUE(IsFilledPage(page, 100 + i)) << i;
    page += kPage;
  }
}

TEST(KeptPagesTest, ACopyThatWasKilledIsNotTakenForItsMaker) {
  MappedChild copy(NumberedPages);
  auto memory = FrozenTaskMemory::OpenSharing(copy.pid(), copy.Dir());
  ASSERT_TRUE(memory.ok()) << memory.status();
  copy.Kill();
  const CopiedTaskMemory copied(*std::move(memory), KeptPages());
  const PageRun run = {copy.Page(5), 1};
  std::vector<std::byte> bytes(kPage);
  const absl::Status status = copied.Read(std::span(&run, 1), bytes);
  EXPECT_EQ(FailureOf(status), Failure::kHost) << status;
  EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr("--snapshot=off"));
}

TEST(KeptPagesTest, NoneLeavesAllToTheCopy) {
  const MappedChild copy(NumberedPages);
  auto memory = FrozenTaskMemory::OpenSharing(copy.pid(), copy.Dir());
  ASSERT_TRUE(memory.ok()) << memory.status();
  const CopiedTaskMemory copied(*std::move(memory), KeptPages());
  const PageRun run = {copy.Page(5), 2};
  std::vector<std::byte> bytes(2 * kPage);
  ASSERT_TRUE(copied.Read(std::span(&run, 1), bytes).ok());
  EXPECT_TRUE(IsFilledPage(reinterpret_cast<const char*>(bytes.data()), 105));
}

}  // namespace
}  // namespace dumpctl
