#include <signal.h>
#include <sys/mman.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "dump/mm/page_scanner.h"
#include "dumpctl/kernel_abi.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proc/pagemap.h"
#include "test/mm/watched_child.h"
#include "test/mm/zero_page.h"

namespace dumpctl {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr uint64_t kSavedPages = 64;

// Of the child.
char* saved_memory;
void GiveBackAndMore(int) {
  // Given back; given back and read; a guard; and a page that was not there.
  madvise(saved_memory + 10 * kPage, 2 * kPage, MADV_DONTNEED);
  madvise(saved_memory + 14 * kPage, kPage, MADV_DONTNEED);
  (void)*const_cast<volatile char*>(saved_memory + 14 * kPage);
  madvise(saved_memory + 20 * kPage, kPage, abi::kMadvGuardInstall);
  saved_memory[40 * kPage] = 1;
  saved_memory[kPage] = 2;
}

// A child with pages 0 to 31 of its memory written to, which parent images hold but for page 31,
// and that were protected before these were made.
class SavedPagesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!features_.Has(KernelFeature::kWriteWatch)) GTEST_SKIP() << "no Linux 6.9";
    child_.emplace([]() -> void* {
      saved_memory = Map(kSavedPages);
      if (saved_memory == nullptr) return nullptr;
      madvise(saved_memory, kSavedPages * kPage, MADV_NOHUGEPAGE);
      for (uint64_t i = 0; i < 32; ++i) FillPage(saved_memory + i * kPage, i);
      (void)signal(SIGUSR1, GiveBackAndMore);
      MakeUserfaultfd();
      return saved_memory;
    });
    auto watch = WatchOf(*child_);
    ASSERT_TRUE(watch.ok()) << watch.status();
    watch_.emplace(*std::move(watch));
    saved_ = {{child_->Page(0), 31}};
  }

  void Protect() {
    auto pagemap = Pagemap::Open(child_->Dir(), features_);
    ASSERT_TRUE(watch_->Add(child_->Page(0), child_->Page(kSavedPages), *pagemap).ok());
    const auto found = pagemap->FindWritten(child_->Page(0), child_->Page(kSavedPages), false, true,
                                            [](RemoteAddress, RemoteAddress) {});
    ASSERT_TRUE(found.ok() && *found);
  }

  void ChangeMuch() {
    kill(child_->pid(), SIGUSR1);
    auto pagemap = Pagemap::Open(child_->Dir(), features_);
    // What it does last.
    while (*pagemap->HasMarks(child_->Page(1), child_->Page(2))) usleep(100);
  }

  ScannedPages Scan(std::span<const PageRun> saved) { return Scan(saved, features_); }
  ScannedPages Scan(std::span<const PageRun> saved, const KernelFeatures& features) {
    auto scanned = ScanPages(child_->Dir(), child_->Vmas(), features, ScanOf::kTask, saved);
    EXPECT_TRUE(scanned.ok()) << scanned.status();
    return *std::move(scanned);
  }

  // Those of the memory, by number.
  std::vector<uint64_t> PagesIn(const std::vector<PageRun>& runs) {
    std::vector<uint64_t> pages;
    for (uint64_t i = 0; i < kSavedPages; ++i) {
      const RemoteAddress at = child_->Page(i);
      if (std::any_of(runs.begin(), runs.end(),
                      [at](const PageRun& run) { return run.start <= at && at < run.end(); })) {
        pages.push_back(i);
      }
    }
    return pages;
  }

  const KernelFeatures features_ = *KernelFeatures::Probe();
  std::optional<MappedChild> child_;
  std::optional<WriteWatch> watch_;
  std::vector<PageRun> saved_;
};

// And the one that was given back and is read: it may have a frame of its own again.
std::vector<uint64_t> Changed(std::vector<uint64_t> pages) {
  if (HasZeroPage()) return pages;
  pages.insert(std::lower_bound(pages.begin(), pages.end(), 14), 14);
  return pages;
}

TEST_F(SavedPagesTest, WhatIsAsItWasIsLeftToTheParent) {
  if (!features_.Has(KernelFeature::kPagemapScanGuard)) GTEST_SKIP() << "no Linux 6.15";
  Protect();
  ScannedPages scanned = Scan(saved_);
  EXPECT_EQ(PagesIn(scanned.in_parent).size(), 31U);
  EXPECT_THAT(PagesIn(scanned.runs), ElementsAre(31)) << "which is not saved";

  WriteByte(*child_, 3);
  ChangeMuch();
  scanned = Scan(saved_);
  EXPECT_EQ(PagesIn(scanned.runs), Changed({1, 3, 31, 40}));
  std::vector<uint64_t> same;
  for (uint64_t i = 0; i < 31; ++i) {
    if (i != 1 && i != 3 && i != 10 && i != 11 && i != 14 && i != 20) same.push_back(i);
  }
  EXPECT_EQ(PagesIn(scanned.in_parent), same);
  ASSERT_TRUE(scanned.guards);
  EXPECT_THAT(*scanned.guards, ElementsAre(GuardRange{child_->Page(20), child_->Page(21)}));
  EXPECT_EQ(scanned.pages, PagesOf(scanned.runs));

  // Both together are what there is.
  const ScannedPages all = Scan({});
  EXPECT_THAT(all.in_parent, IsEmpty());
  EXPECT_EQ(PagesOf(all.runs), PagesOf(scanned.runs) + PagesOf(scanned.in_parent));
}

TEST_F(SavedPagesTest, SoItIsWhereTheKernelDoesNotTellGuards) {
  const KernelFeatures older = *KernelFeatures::Probe("-pagemap_scan_guard,-pagemap_guard");
  Protect();
  WriteByte(*child_, 3);
  ScannedPages scanned = Scan(saved_, older);
  EXPECT_THAT(PagesIn(scanned.runs), ElementsAre(3, 31));
  EXPECT_EQ(PagesIn(scanned.in_parent).size(), 30U);
  EXPECT_FALSE(scanned.guards);

  ChangeMuch();
  scanned = Scan(saved_, older);
  // What looks swapped is found, and cannot be read: see Pagemap.
  std::vector<uint64_t> with_guard = {1, 3, 31, 40};
  if (features_.Has(KernelFeature::kPagemapScanGuard)) with_guard = {1, 3, 20, 31, 40};
  EXPECT_EQ(PagesIn(scanned.runs), Changed(with_guard));
  EXPECT_EQ(PagesOf(Scan({}, older).runs), PagesOf(scanned.runs) + PagesOf(scanned.in_parent));
}

TEST_F(SavedPagesTest, SoItIsWhereThereAreNoGuards) {
  if (madvise(nullptr, 0, abi::kMadvGuardInstall) == 0) GTEST_SKIP() << "Linux 6.13 or newer";
  Protect();
  WriteByte(*child_, 3);
  const ScannedPages scanned = Scan(saved_);
  EXPECT_THAT(PagesIn(scanned.runs), ElementsAre(3, 31));
  EXPECT_EQ(PagesIn(scanned.in_parent).size(), 30U);
}

TEST_F(SavedPagesTest, NothingIsWhereWritesAreNotWatched) {
  const ScannedPages scanned = Scan(saved_);
  EXPECT_THAT(scanned.in_parent, IsEmpty());
  EXPECT_EQ(PagesIn(scanned.runs).size(), 32U);
}

TEST_F(SavedPagesTest, NothingIsWhenTheWatchHasEnded) {
  Protect();
  watch_->End(child_->Dir(), features_);
  const ScannedPages scanned = Scan(saved_);
  EXPECT_THAT(scanned.in_parent, IsEmpty());
  EXPECT_EQ(PagesIn(scanned.runs).size(), 32U);
}

}  // namespace
}  // namespace dumpctl
