#include "dump/mm/write_watch.h"

#include <signal.h>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "test/mm/watched_child.h"

namespace dumpctl {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr uint64_t kWatchedPages = 24;
constexpr uint64_t kPart = kWatchedPages / 3;

// Of the child: its memory, and where the middle of it is.
char* watched_memory;
char* middle;

void MoveMiddle(int) {
  char* const home = watched_memory + kPart * kPage;
  char* const to = middle == home ? Map(kPart) : home;
  middle = static_cast<char*>(
      mremap(middle, kPart * kPage, kPart * kPage, MREMAP_MAYMOVE | MREMAP_FIXED, to));
}

// A child with memory all of whose pages are written to, and a watch that was made in it.
class WriteWatchTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!features_.Has(KernelFeature::kWriteWatch)) GTEST_SKIP() << "no Linux 6.9";
    child_.emplace([]() -> void* {
      watched_memory = Map(kWatchedPages);
      if (watched_memory == nullptr) return nullptr;
      middle = watched_memory + kPart * kPage;
      for (uint64_t i = 0; i < kWatchedPages; ++i) FillPage(watched_memory + i * kPage, i);
      (void)signal(SIGUSR1, MoveMiddle);
      MakeUserfaultfd();
      MakeUserfaultfd();
      return watched_memory;
    });
    auto watch = WatchOf(*child_);
    ASSERT_TRUE(watch.ok()) << watch.status();
    watch_.emplace(*std::move(watch));
  }

  // Pages of the child's memory.
  std::vector<uint64_t> DirtyPages(bool protect) {
    const auto dirty = FindDirty(child_->Dir(), child_->Vmas(), features_, protect);
    EXPECT_TRUE(dirty.ok()) << dirty.status();
    std::vector<uint64_t> pages;
    for (const AddressRange& range : *dirty) {
      for (uint64_t i = 0; i < kWatchedPages; ++i) {
        if (range.start <= child_->Page(i) && child_->Page(i) < range.end) pages.push_back(i);
      }
    }
    return pages;
  }

  void Write(uint64_t page) { WriteByte(*child_, page); }

  void Move() {
    const std::string before = *child_->Dir().Read("maps");
    kill(child_->pid(), SIGUSR1);
    // It maps and moves: until both are done and it sleeps again.
    while (*child_->Dir().Read("maps") == before || *child_->Dir().Read("wchan") == "0")
      usleep(500);
    usleep(5000);
  }

  absl::Status AddAll() { return watch_->AddAll(child_->Dir(), features_); }

  const KernelFeatures features_ = *KernelFeatures::Probe();
  std::optional<MappedChild> child_;
  std::optional<WriteWatch> watch_;
};

TEST_F(WriteWatchTest, MarksAreFoundAndTakenAway) {
  auto pagemap = Pagemap::Open(child_->Dir(), features_);
  ASSERT_TRUE(pagemap.ok()) << pagemap.status();
  const auto marked = [&](uint64_t page) {
    const auto has_marks = pagemap->HasMarks(child_->Page(page), child_->Page(page + 1));
    return has_marks.ok() && *has_marks;
  };
  EXPECT_FALSE(marked(3));
  ASSERT_TRUE(AddAll().ok());
  EXPECT_FALSE(marked(3)) << "watched, and not protected yet";
  DirtyPages(true);
  EXPECT_TRUE(marked(3));
  Write(3);
  EXPECT_FALSE(marked(3));
  EXPECT_TRUE(*pagemap->HasMarks(child_->Page(0), child_->Page(kWatchedPages)));
  // Once more: what bears a mark that may not be in force counts as written.
  ASSERT_TRUE(watch_->Add(child_->Page(0), child_->Page(kWatchedPages), *pagemap).ok());
  EXPECT_FALSE(*pagemap->HasMarks(child_->Page(0), child_->Page(kWatchedPages)));
}

TEST_F(WriteWatchTest, TellsWhatIsWritten) {
  EXPECT_EQ(DirtyPages(false).size(), kWatchedPages) << "nobody watches yet";
  ASSERT_TRUE(AddAll().ok());
  EXPECT_EQ(DirtyPages(false).size(), kWatchedPages) << "nothing is protected yet";
  EXPECT_EQ(DirtyPages(true).size(), kWatchedPages);
  EXPECT_THAT(DirtyPages(false), IsEmpty());
  Write(3);
  Write(17);
  EXPECT_THAT(DirtyPages(false), ElementsAre(3, 17));
  EXPECT_THAT(DirtyPages(true), ElementsAre(3, 17)) << "asking alone changes nothing";
  Write(17);
  EXPECT_THAT(DirtyPages(true), ElementsAre(17));
  ASSERT_TRUE(AddAll().ok()) << "the second time";
  EXPECT_THAT(DirtyPages(false), IsEmpty());
}

// Each would take the other's marks away when it protects pages.
TEST_F(WriteWatchTest, WatchesNothingThatAnotherOneWatches) {
  ASSERT_TRUE(AddAll().ok());
  DirtyPages(true);
  const auto other = WatchOf(*child_, 1);
  ASSERT_TRUE(other.ok()) << other.status();
  EXPECT_TRUE(absl::IsUnavailable(other->AddAll(child_->Dir(), features_)));
  // Its own it takes as it is.
  Write(3);
  ASSERT_TRUE(AddAll().ok());
  EXPECT_THAT(DirtyPages(false), ElementsAre(3));
}

TEST_F(WriteWatchTest, EndsWithoutATrace) {
  const std::string before = *child_->Dir().Read("maps");
  ASSERT_TRUE(AddAll().ok());
  EXPECT_NE(child_->Dir().Read("smaps")->find(" uw"), std::string::npos);
  EXPECT_TRUE(watch_->IsAlive());
  (void)DirtyPages(true);
  watch_->End(child_->Dir(), features_);
  EXPECT_EQ(child_->Dir().Read("smaps")->find(" uw"), std::string::npos);
  EXPECT_EQ(*child_->Dir().Read("maps"), before);
  EXPECT_EQ(DirtyPages(false).size(), kWatchedPages);
}

TEST_F(WriteWatchTest, KnowsWhenTheAddressSpaceIsGone) {
  child_->Kill();
  EXPECT_FALSE(watch_->IsAlive());
}

// Moved away and home again beside what is watched, the kernel joins all of it, ends the watch over
// it, and leaves pages as if they were protected.
TEST_F(WriteWatchTest, TrustsNoProtectionFromBeforeAMove) {
  ASSERT_TRUE(AddAll().ok());
  (void)DirtyPages(true);
  Move();
  ASSERT_TRUE(AddAll().ok());
  (void)DirtyPages(true);
  Move();
  Write(0);
  Write(kWatchedPages - 1);
  ASSERT_TRUE(AddAll().ok());
  const std::vector<uint64_t> dirty = DirtyPages(true);
  EXPECT_THAT(dirty, ::testing::IsSupersetOf({uint64_t{0}, kPart, kWatchedPages - 1}));
  EXPECT_THAT(DirtyPages(false), IsEmpty());
  for (uint64_t page = 0; page < kWatchedPages; ++page) Write(page);
  EXPECT_EQ(DirtyPages(false).size(), kWatchedPages);
}

TEST_F(WriteWatchTest, FlagsOfWatchedMappingsAreLeftOut) {
  ASSERT_TRUE(AddAll().ok());
  std::vector<MappingFlags> flags = {
      {child_->base(), child_->Page(kWatchedPages), {VmFlag::kRead, VmFlag::kUffdWriteProtect}},
      {RemoteAddress(0x1000), RemoteAddress(0x2000), {VmFlag::kRead}}};
  ASSERT_TRUE(LeaveOutWatch(child_->Dir(), features_, flags).ok());
  EXPECT_EQ(flags[0].flags, VmFlags({VmFlag::kRead}));
  watch_->End(child_->Dir(), features_);
  flags[0].flags.Set(VmFlag::kUffdWriteProtect);
  ASSERT_TRUE(LeaveOutWatch(child_->Dir(), features_, flags).ok());
  EXPECT_TRUE(flags[0].flags.Has(VmFlag::kUffdWriteProtect)) << "a handler answers there";
}

}  // namespace
}  // namespace dumpctl
