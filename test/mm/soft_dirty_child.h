#ifndef TEST_MM_SOFT_DIRTY_CHILD_H_
#define TEST_MM_SOFT_DIRTY_CHILD_H_

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>

#include <cstring>
#include <optional>
#include <vector>

#include "dump/mm/page_scanner.h"
#include "dump/mm/soft_dirty.h"
#include "gtest/gtest.h"
#include "test/mm/mapped_child.h"

namespace dumpctl {

inline constexpr uint64_t kTablePages = 512;
inline constexpr uint64_t kRoomPages = 4 * kTablePages;

// Of the child: two tables' worth of small pages, one huge page, and one table without any.
inline char* room;

// Its two tables change places, by way of the third.
inline void SwapTables(int) {
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
inline void GiveBack(int) {
  (void)madvise(room + 5 * kPage, kPage, MADV_DONTNEED);
  (void)madvise(room + 2 * kTablePages * kPage, kTablePages * kPage, MADV_DONTNEED);
  (void)*static_cast<volatile char*>(room + 5 * kPage);
  (void)*static_cast<volatile char*>(room + 2 * kTablePages * kPage);
}

// Lets two pages be merged that are alike now.
inline void Liken(int) {
  (void)madvise(room, 8 * kPage, MADV_MERGEABLE);
  for (int page : {3, 4}) memset(room + page * kPage, 0x5a, kPage);
}

// And no longer.
inline void Part(int) { (void)madvise(room, 8 * kPage, MADV_UNMERGEABLE); }

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
      (void)signal(SIGALRM, Part);
      return room;
    });
  }

  // Pages of the room that have content and are known to have what they had.
  std::vector<uint64_t> Unchanged(const SoftDirtyRecord* known) {
    const VmaList vmas = child_->Vmas();
    const auto scanned = ScanPages(child_->Dir(), vmas, features_);
    EXPECT_TRUE(scanned.ok()) << scanned.status();
    next_ = {};
    const auto changed =
        FindSoftDirty(child_->Dir(), vmas, scanned->runs, features_, known, &next_);
    EXPECT_TRUE(changed.ok()) << changed.status();
    // As if the images before had held them all.
    const PageRun all[] = {{child_->base(), kRoomPages}};
    const SplitPages split = SplitByParent(scanned->runs, *changed, all);
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

}  // namespace dumpctl

#endif  // TEST_MM_SOFT_DIRTY_CHILD_H_
