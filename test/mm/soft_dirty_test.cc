#include "dump/mm/soft_dirty.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>

#include <cstring>
#include <fstream>
#include <string>

#include "dump/mm/page_scanner.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "test/mm/mapped_child.h"

namespace dumpctl {
namespace {

using ::testing::Contains;
using ::testing::Each;
using ::testing::IsEmpty;

constexpr uint64_t kTablePages = 512;
constexpr uint64_t kRoomPages = 4 * kTablePages;

// Of the child: two tables' worth of small pages, one huge page, and one table without any.
char* room;

// Its two tables change places, by way of the third.
void SwapTables(int) {
  constexpr size_t kBytes = kTablePages * kPage;
  const auto move = [](int from, int to) {
    (void)mremap(room + from * kBytes, kBytes, kBytes, MREMAP_MAYMOVE | MREMAP_FIXED,
                 room + to * kBytes);
  };
  move(0, 3);
  move(1, 0);
  move(3, 1);
}

// Gives back a page, and the huge page, and reads what is there then.
void GiveBack(int) {
  (void)madvise(room + 5 * kPage, kPage, MADV_DONTNEED);
  (void)madvise(room + 2 * kTablePages * kPage, kTablePages * kPage, MADV_DONTNEED);
  (void)*static_cast<volatile char*>(room + 5 * kPage);
  (void)*static_cast<volatile char*>(room + 2 * kTablePages * kPage);
}

// Lets two pages be merged that are alike now.
void Liken(int) {
  (void)madvise(room, 8 * kPage, MADV_MERGEABLE);
  for (int page : {3, 4}) memset(room + page * kPage, 0x5a, kPage);
}

class SoftDirtyTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!features_.Has(KernelFeature::kSoftDirty)) GTEST_SKIP() << "no soft-dirty bits";
    child_.emplace([]() -> void* {
      char* const map = Map(kRoomPages + kTablePages);
      if (map == nullptr) return nullptr;
      room = map + -reinterpret_cast<uint64_t>(map) % (kTablePages * kPage);
      madvise(room, 2 * kTablePages * kPage, MADV_NOHUGEPAGE);
      madvise(room + 2 * kTablePages * kPage, kTablePages * kPage, MADV_HUGEPAGE);
      for (uint64_t i = 0; i < 3 * kTablePages; ++i) FillPage(room + i * kPage, i);
      (void)signal(SIGUSR1, SwapTables);
      (void)signal(SIGUSR2, GiveBack);
      (void)signal(SIGHUP, Liken);
      return room;
    });
  }

  // Pages of the room that have content and are known to have what they had.
  std::vector<uint64_t> Unchanged(const SoftDirtyRecord* known) {
    const VmaList vmas = child_->Vmas();
    const auto scanned = ScanPages(child_->Dir(), vmas, features_);
    EXPECT_TRUE(scanned.ok()) << scanned.status();
    auto found = FindSoftDirty(child_->Dir(), vmas, scanned->runs, features_, known);
    EXPECT_TRUE(found.ok()) << found.status();
    next_ = std::move(found->next);
    // As if the images before had held them all.
    const PageRun all[] = {{child_->base(), kRoomPages}};
    const SplitPages split = SplitByParent(scanned->runs, found->changed, all);
    std::vector<uint64_t> pages;
    for (const PageRun& run : split.in_parent) {
      for (uint64_t i = 0; i < run.pages; ++i) {
        pages.push_back((run.start - child_->base()) / kPage + i);
      }
    }
    return pages;
  }

  SoftDirtyRecord Clear() {
    Unchanged(nullptr);
    SoftDirtyRecord record = std::move(next_);
    const auto file = child_->Dir().Open("clear_refs", O_WRONLY);
    EXPECT_TRUE(file.ok()) << file.status();
    EXPECT_TRUE(ClearSoftDirty(child_->Dir(), BorrowedFd(*file), features_, record).ok());
    return record;
  }

  // And its handler has run.
  void Signal(int number) {
    kill(child_->pid(), number);
    const auto idle = [this] { return *child_->Dir().Read("wchan") != "0"; };
    usleep(20000);
    while (!idle()) usleep(500);
  }

  const KernelFeatures features_ = *KernelFeatures::Probe();
  std::optional<MappedChild> child_;
  SoftDirtyRecord next_;
};

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

// Has the kernel merge equal pages while it lives, if it does not anyway.
class Merging {
 public:
  Merging() {
    std::ifstream("/sys/kernel/mm/ksm/run") >> before_;
    if (before_ == '0') std::ofstream("/sys/kernel/mm/ksm/run") << 1;
  }
  ~Merging() {
    if (before_ == '0') std::ofstream("/sys/kernel/mm/ksm/run") << before_;
  }

  bool active() const {
    char now = '0';
    std::ifstream("/sys/kernel/mm/ksm/run") >> now;
    return now == '1';
  }

 private:
  char before_ = '1';
};

// Two pages are written to, and are alike: then they are one, and neither has its bit.
TEST_F(SoftDirtyTest, WhatWasMergedIsNotWhatItWas) {
  const SoftDirtyRecord record = Clear();
  const Merging merging;
  if (!merging.active()) GTEST_SKIP() << "the kernel merges no pages";
  Signal(SIGHUP);
  const auto merged = [this] {
    const auto pages = child_->Dir().ReadWhole("ksm_merging_pages");
    return pages.ok() && std::stoi(*pages) >= 2;
  };
  for (int i = 0; i < 10000 && !merged(); ++i) usleep(1000);
  ASSERT_TRUE(merged());
  EXPECT_THAT(Unchanged(&record), Each(testing::AllOf(testing::Ne(3u), testing::Ne(4u))));
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
  const SoftDirtyRecord record{RemoteAddress(0x1000), {{1, 2}, {3, 4}}};
  const auto memfd = record.Write();
  ASSERT_TRUE(memfd.ok()) << memfd.status();
  const auto read = SoftDirtyRecord::Read(BorrowedFd(*memfd));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->witness, record.witness);
  EXPECT_EQ(read->samples, record.samples);
  ASSERT_EQ(ftruncate(memfd->get(), 30), 0);
  EXPECT_EQ(SoftDirtyRecord::Read(BorrowedFd(*memfd)).status().code(), absl::StatusCode::kDataLoss);
  const UniqueFd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(SoftDirtyRecord::Read(BorrowedFd(null)).status().code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace dumpctl
