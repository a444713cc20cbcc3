#include "proc/merged_pages.h"

#include <fcntl.h>
#include <linux/kernel-page-flags.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <optional>

#include "dumpctl/kernel_abi.h"
#include "dumpctl/unique_fd.h"
#include "gtest/gtest.h"
#include "test/mm/zero_page.h"

namespace dumpctl {
namespace {

constexpr size_t kPage = 4096;

char* Map(int flags, int file) {
  return static_cast<char*>(mmap(nullptr, kPage, PROT_READ | PROT_WRITE, flags, file, 0));
}

// Whether the kernel calls a page merged that nobody has asked it to merge: see FrameFlags.
bool IsCalledMerged(uint64_t frame) {
  const UniqueFd file(open("/proc/kpageflags", O_RDONLY | O_CLOEXEC));
  uint64_t flags = 0;
  const auto at = static_cast<off_t>(frame * sizeof flags);
  EXPECT_EQ(pread(file.get(), &flags, sizeof flags, at), ssize_t{sizeof flags});
  return (flags & uint64_t{1} << KPF_KSM) != 0;
}

TEST(FrameFlagsTest, TellAnonymousPagesFromOthers) {
  char* const own = Map(MAP_PRIVATE | MAP_ANONYMOUS, -1);
  char* const zeros = Map(MAP_PRIVATE | MAP_ANONYMOUS, -1);
  const UniqueFd memfd(memfd_create("shared", MFD_CLOEXEC));
  ASSERT_EQ(ftruncate(memfd.get(), kPage), 0);
  char* const shared = Map(MAP_SHARED, memfd.get());
  own[0] = shared[0] = 1;
  EXPECT_EQ(*static_cast<volatile char*>(zeros), 0);
  if (FrameOf(own) == 0 || access("/proc/kpageflags", R_OK) != 0) {
    GTEST_SKIP() << "this caller is shown no frames";
  }
  const FrameFlags flags = FrameFlags::Open();
  EXPECT_EQ(flags.IsForked(FrameOf(own)), !IsCalledMerged(FrameOf(own)));
  if (HasZeroPage()) {
    EXPECT_FALSE(flags.IsForked(FrameOf(zeros)));
  }
  EXPECT_FALSE(flags.IsForked(FrameOf(shared)));
  EXPECT_FALSE(flags.IsForked(UINT64_MAX / 16));
}

constexpr PageMerging kIdle{.active = false, .some = false};

TEST(PageMergingTest, AKernelWithoutItTakesNothing) {
  constexpr PageMerging kNone{.possible = false};
  EXPECT_TRUE(kNone.KeepsMarks());
  EXPECT_FALSE(kNone.MayHaveTakenMarks(std::nullopt, true));
}

TEST(PageMergingTest, WhereNoPageWasLookedAtNoneWasMerged) {
  PageMerging merging = kIdle;
  merging.scanned = 7;
  EXPECT_TRUE(merging.KeepsMarks());
  EXPECT_FALSE(merging.MayHaveTakenMarks(7, true));
  EXPECT_TRUE(merging.MayHaveTakenMarks(6, true));
  // What was merged may be so no longer.
  EXPECT_TRUE(merging.MayHaveTakenMarks(6, false));
  EXPECT_TRUE(merging.MayHaveTakenMarks(std::nullopt, false));
}

TEST(PageMergingTest, APageMayBeMergedBeforeItIsCounted) {
  PageMerging merging = kIdle;
  merging.scanned = 7;
  merging.active = true;
  EXPECT_TRUE(merging.MayHaveTakenMarks(7, true));
  EXPECT_FALSE(merging.MayHaveTakenMarks(7, false));
}

TEST(PageMergingTest, WhereUnmergingMarksOnlyWhatIsMergedHasLostAnything) {
  PageMerging merging = kIdle;
  merging.unmerging_marks = true;
  EXPECT_TRUE(merging.KeepsMarks());
  EXPECT_FALSE(merging.MayHaveTakenMarks(std::nullopt, true));
  merging.some = true;
  EXPECT_FALSE(merging.MayHaveTakenMarks(std::nullopt, false));
  EXPECT_TRUE(merging.MayHaveTakenMarks(std::nullopt, true));
  merging.some = false;
  merging.active = true;
  EXPECT_TRUE(merging.MayHaveTakenMarks(std::nullopt, true));
}

TEST(PageMergingTest, WhereNothingTellsAllMayBeLost) {
  EXPECT_FALSE(kIdle.KeepsMarks());
  EXPECT_TRUE(kIdle.MayHaveTakenMarks(std::nullopt, false));
}

TEST(PageMergingTest, IsReadOfThisMachine) {
  const PageMerging merging = PageMerging::Read();
  utsname name = {};
  ASSERT_EQ(uname(&name), 0);
  EXPECT_EQ(merging.unmerging_marks, strverscmp(name.release, "6.2") < 0 && merging.possible);
  if (access("/sys/kernel/mm/ksm", F_OK) != 0) GTEST_SKIP() << "not to be seen here";
  EXPECT_TRUE(merging.possible);
  std::ifstream file("/sys/kernel/mm/ksm/pages_scanned");
  uint64_t scanned = 0;
  const bool told = static_cast<bool>(file >> scanned);
  ASSERT_EQ(merging.scanned.has_value(), told);
  if (told) {
    EXPECT_LE(scanned - *merging.scanned, 1'000'000u);
  }
}

}  // namespace
}  // namespace dumpctl
