#include "dump/mm/shared_pages.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <fstream>
#include <memory>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "dumpctl/unique_fd.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proc/page_places.h"
#include "test/mm/mapped_child.h"

namespace dumpctl {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

using Runs = std::vector<std::pair<uint64_t, uint64_t>>;

constexpr size_t kInherited = 8;

PageRun PagesAt(uint64_t page, uint64_t pages) {
  return {RemoteAddress(page * kImagePageSize), pages};
}

TEST(RunsWithoutTest, CutsWhatIsTaken) {
  const std::vector<PageRun> runs = {PagesAt(1, 4), PagesAt(10, 4), PagesAt(20, 1)};
  EXPECT_EQ(RunsWithout(runs, {}), runs);
  EXPECT_THAT(RunsWithout(runs, runs), IsEmpty());
  EXPECT_THAT(
      RunsWithout(runs, std::vector{PagesAt(1, 1), PagesAt(3, 1), PagesAt(12, 2), PagesAt(20, 1)}),
      ElementsAre(PagesAt(2, 1), PagesAt(4, 1), PagesAt(10, 2)));
}

TEST(RunsWithoutTest, WhatIsTakenMayLieOutside) {
  const std::vector<PageRun> runs = {PagesAt(10, 4), PagesAt(20, 4), PagesAt(30, 1)};
  EXPECT_EQ(RunsWithout(runs, std::vector{PagesAt(1, 2), PagesAt(14, 6), PagesAt(31, 9)}), runs);
  EXPECT_THAT(RunsWithout(runs, std::vector{PagesAt(8, 3), PagesAt(13, 8)}),
              ElementsAre(PagesAt(11, 2), PagesAt(21, 3), PagesAt(30, 1)));
  EXPECT_THAT(RunsWithout(runs, std::vector{PagesAt(0, 100)}), IsEmpty());
}

// Memory that this process wrote, and what children that inherited it have made of it.
class SharedPagesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    memory_ = Map(kMapped);
    ASSERT_NE(memory_, nullptr);
    ASSERT_EQ(madvise(memory_, kMapped * kPage, MADV_NOHUGEPAGE), 0);
    for (size_t page = 0; page < kInherited; ++page) FillPage(memory_ + page * kPage, page);
    const ProcDir self = *ProcDir::OpenTask(getpid());
    uint64_t entry = 0;
    ASSERT_TRUE(PagePlaces::Open(self)->Read(Address(0), {&entry, 1}).ok());
    if (HidesPlace(entry)) GTEST_SKIP() << "frames are shown to CAP_SYS_ADMIN alone";
  }
  void TearDown() override { munmap(memory_, kMapped * kPage); }

  RemoteAddress Address(uint64_t page) const {
    return RemoteAddress(reinterpret_cast<uint64_t>(memory_)) + page * kPage;
  }

  // A child that has written these pages since.
  void Fork(const std::vector<size_t>& written) {
    children_.push_back(std::make_unique<MappedChild>([&]() -> void* {
      for (const size_t page : written) memory_[page * kPage] = 'x';
      return memory_;
    }));
  }

  SharedPages Find(const std::vector<PageRun>& runs) {
    dirs_.clear();
    for (const auto& child : children_) dirs_.push_back(child->Dir());
    std::vector<SharingTask> tasks;
    for (const ProcDir& dir : dirs_) tasks.push_back({&dir, runs});
    auto shared = FindSharedPages(tasks);
    EXPECT_TRUE(shared.ok()) << shared.status();
    return *std::move(shared);
  }
  SharedPages Find() { return Find({{Address(0), kInherited}}); }

  Runs Places(const std::vector<PageRun>& runs) const {
    Runs places;
    for (const PageRun& run : runs)
      places.emplace_back((run.start - Address(0)) / kPage, run.pages);
    return places;
  }
  // With the reader of each.
  std::vector<std::vector<uint64_t>> Stretches(const PageFamily& family) const {
    std::vector<std::vector<uint64_t>> stretches;
    for (const SharedStretch& each : family.stretches) {
      stretches.push_back({(each.run.start - Address(0)) / kPage, each.run.pages, each.reader});
    }
    return stretches;
  }

  static constexpr size_t kMapped = 128 * 512;
  char* memory_ = nullptr;
  std::vector<std::unique_ptr<MappedChild>> children_;
  std::vector<ProcDir> dirs_;
};

TEST_F(SharedPagesTest, FindsWhatNobodyHasWritten) {
  Fork({2});
  Fork({2, 3});
  const SharedPages shared = Find();
  ASSERT_THAT(shared.families, SizeIs(1));
  EXPECT_THAT(shared.families[0].members, ElementsAre(0, 1));
  EXPECT_EQ(shared.families[0].pages, 6u);
  EXPECT_THAT(Stretches(shared.families[0]),
              ElementsAre(ElementsAre(0, 2, 0), ElementsAre(4, 4, 0)));
  for (const auto& runs : shared.in_family) {
    EXPECT_THAT(Places(runs), ElementsAre(std::pair(0, 2), std::pair(4, 4)));
  }
  EXPECT_EQ(shared.references, 12u);
}

TEST_F(SharedPagesTest, TakesOnlyWhatIsToBeSaved) {
  Fork({});
  Fork({});
  const SharedPages shared = Find({{Address(1), 1}, {Address(3), 2}});
  ASSERT_THAT(shared.families, SizeIs(1));
  EXPECT_THAT(Places(shared.in_family[1]), ElementsAre(std::pair(1, 1), std::pair(3, 2)));
}

TEST_F(SharedPagesTest, ATaskThatHasWrittenAllIsNoMember) {
  Fork({});
  Fork({0, 1, 2, 3, 4, 5, 6, 7});
  Fork({});
  const SharedPages shared = Find();
  ASSERT_THAT(shared.families, SizeIs(1));
  EXPECT_THAT(shared.families[0].members, ElementsAre(0, 2));
  EXPECT_THAT(shared.in_family[1], IsEmpty());
}

// What says that pages are one is the frame that they lie in. To compare contents would take
// reading them all.
TEST_F(SharedPagesTest, EqualContentsInOtherFramesAreNotShared) {
  Fork({0, 1});
  Fork({0, 1});
  std::vector<std::string> contents;
  for (const auto& child : children_) {
    // By process_vm_readv they would be shared no longer: see FrozenTaskMemory::OpenSharing.
    const UniqueFd memory = *child->Dir().Open("mem", O_RDONLY);
    std::string& bytes = contents.emplace_back(kInherited * kPage, '\0');
    ASSERT_EQ(
        pread(memory.get(), bytes.data(), bytes.size(), static_cast<off_t>(Address(0).value())),
        static_cast<ssize_t>(bytes.size()));
  }
  ASSERT_EQ(contents[0], contents[1]);
  const SharedPages shared = Find();
  ASSERT_THAT(shared.families, SizeIs(1));
  for (const auto& runs : shared.in_family) {
    EXPECT_THAT(Places(runs), ElementsAre(std::pair(2, 6)));
  }
  EXPECT_EQ(shared.families[0].pages, 6u);
}

// As a child of ours that rewrites pages and then forks.
TEST_F(SharedPagesTest, OfTwoVersionsTheFamilyHasTheOneOfMost) {
  for (int i = 0; i < 3; ++i) Fork({});
  for (const size_t page : {0, 1}) FillPage(memory_ + page * kPage, 100 + page);
  for (int i = 0; i < 2; ++i) Fork({});
  const SharedPages shared = Find();
  ASSERT_THAT(shared.families, SizeIs(1));
  EXPECT_THAT(shared.families[0].members, ElementsAre(0, 1, 2, 3, 4));
  EXPECT_THAT(Places(shared.in_family[0]), ElementsAre(std::pair(0, 8)));
  EXPECT_THAT(Places(shared.in_family[3]), ElementsAre(std::pair(2, 6)));
  EXPECT_EQ(shared.families[0].pages, 8u);
}

TEST_F(SharedPagesTest, FamiliesWithNothingInCommonHaveTheSameAddresses) {
  for (int i = 0; i < 2; ++i) Fork({});
  for (size_t page = 0; page < kInherited; ++page) FillPage(memory_ + page * kPage, 100 + page);
  for (int i = 0; i < 3; ++i) Fork({});
  const SharedPages shared = Find();
  ASSERT_THAT(shared.families, SizeIs(2));
  EXPECT_THAT(shared.families[0].members, ElementsAre(0, 1));
  EXPECT_THAT(Stretches(shared.families[0]), ElementsAre(ElementsAre(0, 8, 0)));
  EXPECT_THAT(shared.families[1].members, ElementsAre(2, 3, 4));
  EXPECT_THAT(Stretches(shared.families[1]), ElementsAre(ElementsAre(0, 8, 2)));
  EXPECT_EQ(shared.references, 40u);
}

// By two threads, and in the order of addresses.
TEST_F(SharedPagesTest, FindsPagesFarFromEachOther) {
  std::vector<PageRun> runs;
  for (size_t page = 0; page < kMapped; page += 512) {
    FillPage(memory_ + page * kPage, page);
    runs.push_back({Address(page), 1});
  }
  Fork({512});
  Fork({});
  const SharedPages shared = Find(runs);
  ASSERT_THAT(shared.families, SizeIs(1));
  EXPECT_EQ(shared.families[0].pages, runs.size() - 1);
  runs.erase(runs.begin() + 1);
  EXPECT_EQ(shared.in_family[0], runs);
  EXPECT_EQ(shared.in_family[1], runs);
}

// Behind many in which nothing is shared only some are looked at: those before a hit then, too.
TEST_F(SharedPagesTest, FindsWhereSharingBegins) {
  constexpr size_t kFirstShared = 81 * 512;
  std::vector<PageRun> runs;
  std::vector<size_t> own;
  for (size_t page = 0; page < kMapped; page += 512) {
    FillPage(memory_ + page * kPage, page);
    runs.push_back({Address(page), 1});
    if (page < kFirstShared) own.push_back(page);
  }
  Fork(own);
  Fork(own);
  const SharedPages shared = Find(runs);
  ASSERT_THAT(shared.families, SizeIs(1));
  runs.erase(runs.begin(), runs.begin() + static_cast<ptrdiff_t>(own.size()));
  EXPECT_EQ(shared.in_family[0], runs);
}

// However short it is, wherever it lies.
TEST_F(SharedPagesTest, FindsALittleBehindMuchThatIsNotShared) {
  constexpr size_t kOwn = 17 * 512;
  constexpr size_t kShared = 512;
  for (size_t page = 0; page < kOwn + kShared; ++page) FillPage(memory_ + page * kPage, page);
  std::vector<size_t> own(kOwn);
  std::iota(own.begin(), own.end(), 0);
  Fork(own);
  Fork(own);
  const SharedPages shared = Find({{Address(0), kOwn + kShared}});
  ASSERT_THAT(shared.families, SizeIs(1));
  EXPECT_GE(shared.families[0].pages, kShared);
  EXPECT_THAT(Places(shared.in_family[1]), ElementsAre(std::pair(kOwn, kShared)));
}

// Calls that this process has read by so far.
uint64_t ReadCalls() {
  std::ifstream file("/proc/self/io");
  std::string name;
  for (uint64_t value = 0; file >> name >> value;) {
    if (name == "syscr:") return value;
  }
  return 0;
}

// What was passed over is looked at again where sharing begins, and not from its own beginning.
TEST_F(SharedPagesTest, LooksForWhereSharingBeginsOnce) {
  constexpr size_t kOwnWindows = 2000;
  constexpr size_t kWindows = 2048;
  munmap(memory_, kMapped * kPage);
  memory_ = Map(kWindows * 512);
  ASSERT_NE(memory_, nullptr);
  ASSERT_EQ(madvise(memory_, kWindows * 512 * kPage, MADV_NOHUGEPAGE), 0);
  std::vector<PageRun> runs;
  std::vector<size_t> own;
  for (size_t i = 0; i < kWindows; ++i) {
    FillPage(memory_ + i * 512 * kPage, i);
    runs.push_back({Address(i * 512), 1});
    if (i < kOwnWindows) own.push_back(i * 512);
  }
  Fork(own);
  Fork(own);
  const uint64_t before = ReadCalls();
  const SharedPages shared = Find(runs);
  // One for each of both tasks' windows, and some.
  EXPECT_LT(ReadCalls() - before, 3 * kWindows);
  ASSERT_THAT(shared.families, SizeIs(1));
  EXPECT_EQ(shared.families[0].pages, kWindows - kOwnWindows);
  munmap(memory_, kWindows * 512 * kPage);
  memory_ = Map(kMapped);
}

TEST_F(SharedPagesTest, ATaskThatIsGoneIsNotFound) {
  Fork({});
  Fork({});
  const ProcDir gone = children_[1]->Dir();
  const ProcDir lives = children_[0]->Dir();
  children_[1]->Kill();
  const std::vector<PageRun> runs = {{Address(0), kInherited}};
  const std::vector<SharingTask> tasks = {{&lives, runs}, {&gone, runs}};
  EXPECT_TRUE(absl::IsNotFound(FindSharedPages(tasks).status()));
}

}  // namespace
}  // namespace dumpctl
