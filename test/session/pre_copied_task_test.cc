#include "dump/session/pre_copied_task.h"

#include <linux/aio_abi.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "test/mm/mapped_child.h"
#include "test/mm/watched_child.h"

namespace dumpctl {
namespace {

constexpr uint64_t kOwnPages = 512;

void BeginAsynchronousInput(int) {
  aio_context_t context = 0;
  syscall(SYS_io_setup, 1, &context);
}

constexpr uint64_t kMore = 0x700000000000;

void MapMore(int) {
  mmap(reinterpret_cast<void*>(kMore), kOwnPages * kPage, PROT_READ | PROT_WRITE,
       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
}

// A process with memory that is watched.
class PreCopiedTaskTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!features_.Has(KernelFeature::kWriteWatch)) GTEST_SKIP() << "no Linux 6.9";
    child_.emplace([]() -> void* {
      char* const memory = Map(kOwnPages);
      if (memory == nullptr || madvise(memory, kOwnPages * kPage, MADV_NOHUGEPAGE) < 0)
        return nullptr;
      for (uint64_t i = 0; i < kOwnPages; ++i) FillPage(memory + i * kPage, i);
      (void)signal(SIGUSR1, BeginAsynchronousInput);
      return memory;
    });
    auto targets = FindTree(child_->pid());
    ASSERT_TRUE(targets.ok()) << targets.status();
    auto mappings = PreCopiedTask::MappingsWorth(targets->front(), features_, kOwnPages * kPage);
    ASSERT_TRUE(mappings.ok()) << mappings.status();
    auto task =
        PreCopiedTask::Watch(targets->front(), *std::move(mappings), features_, {absl::Seconds(5)});
    ASSERT_TRUE(task.ok()) << task.status();
    task_.emplace(*std::move(task));
  }

  static PageSink NewSink() {
    return PageSink::ToFile(UniqueFd(memfd_create("pages", MFD_CLOEXEC)), 1);
  }
  absl::Status Write(size_t files = 1) {
    std::vector<PageSink> sinks;
    while (sinks.size() < files) sinks.push_back(NewSink());
    return task_->Write(std::move(sinks), nullptr, {absl::Seconds(5)}, {});
  }
  absl::Status CatchUp() { return task_->CatchUp(NewSink(), {absl::Seconds(5)}, {}); }

  bool HoldsAll() const {
    for (const PageRun& run : task_->saved()) {
      if (run.start <= child_->base() && child_->Page(kOwnPages) <= run.end()) return true;
    }
    return false;
  }

  void BeginInput() {
    kill(child_->pid(), SIGUSR1);
    while (child_->Dir().Read("maps")->find("[aio]") == std::string::npos) usleep(500);
  }

  const KernelFeatures features_ = *KernelFeatures::Probe();
  std::optional<MappedChild> child_;
  std::optional<PreCopiedTask> task_;
};

TEST_F(PreCopiedTaskTest, HoldsWhatWasWritten) {
  ASSERT_TRUE(Write().ok());
  EXPECT_TRUE(HoldsAll());
  ASSERT_TRUE(CatchUp().ok());
  EXPECT_TRUE(HoldsAll());
  EXPECT_GE(task_->bytes(), kOwnPages * kPage);
}

TEST_F(PreCopiedTaskTest, HoldsWhatWasWrittenIntoTwoFiles) {
  ASSERT_TRUE(Write(2).ok());
  EXPECT_TRUE(HoldsAll());
  EXPECT_GE(task_->bytes(), kOwnPages * kPage);
  task_->Need();
  const auto pagemaps = task_->PagemapsOfParents();
  ASSERT_TRUE(pagemaps.ok()) << pagemaps.status();
  ASSERT_EQ(pagemaps->size(), 2U);
  // The nearest says of the pages before its own that they are in its parent.
  EXPECT_GT(pagemaps->front().bytes().size(), pagemaps->back().bytes().size());
}

// The disk may still write into pages that were protected, and read, since it was asked to.
TEST_F(PreCopiedTaskTest, IsNothingForWhoBeginsAsynchronousInput) {
  BeginInput();
  EXPECT_TRUE(absl::IsAborted(Write()));
}

TEST_F(PreCopiedTaskTest, CatchesUpWithNobodyWhoBeginsAsynchronousInput) {
  ASSERT_TRUE(Write().ok());
  BeginInput();
  EXPECT_TRUE(absl::IsAborted(CatchUp()));
  task_->GiveUp();
  EXPECT_TRUE(task_->has_ended());
  EXPECT_TRUE(task_->saved().empty());
  const auto pagemap = Pagemap::Open(child_->Dir(), features_);
  ASSERT_TRUE(pagemap.ok()) << pagemap.status();
  EXPECT_FALSE(*pagemap->IsWatched(child_->base()));
}

TEST(TrackedTaskTest, IsNotWrittenBeforehand) {
  const KernelFeatures features = *KernelFeatures::Probe();
  if (!features.Has(KernelFeature::kWriteWatch)) GTEST_SKIP() << "no Linux 6.9";
  const MappedChild child([]() -> void* {
    MakeUserfaultfd();
    (void)signal(SIGUSR1, MapMore);
    return Map(1);
  });
  const auto tracking = WatchOf(child);
  ASSERT_TRUE(tracking.ok()) << tracking.status();
  ASSERT_TRUE(tracking->AddAll(child.Dir(), features).ok());
  // Memory that nobody watches yet.
  kill(child.pid(), SIGUSR1);
  const RemoteAddress more(kMore);
  const auto pagemap = Pagemap::Open(child.Dir(), features);
  ASSERT_TRUE(pagemap.ok()) << pagemap.status();
  while (child.Dir().Read("maps")->find(absl::StrCat(absl::Hex(kMore), "-")) == std::string::npos)
    usleep(500);
  const auto targets = FindTree(child.pid());
  ASSERT_TRUE(targets.ok()) << targets.status();
  const auto task = PreCopiedTask::Watch(targets->front(), {{more, more + kOwnPages * kPage}},
                                         features, {absl::Seconds(5)});
  EXPECT_TRUE(absl::IsFailedPrecondition(task.status())) << task.status();
  EXPECT_FALSE(*pagemap->IsWatched(more)) << "it was left watched";
  // Which before Linux 6.17 the kernel itself does not see to.
  EXPECT_TRUE(*pagemap->IsWatched(child.base())) << "the other dump's watch was ended";
}

}  // namespace
}  // namespace dumpctl
