#include "dump/session/drain_tree.h"

#include <atomic>
#include <cstdint>
#include <future>
#include <vector>

#include "dump/mm/memory_source.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

class Drain {
 public:
  Drain(const FrozenTree& tree, const TreeFacts& facts, std::span<PageSink> sinks,
        const DrainProgress& progress)
      : tree_(tree), facts_(facts), sinks_(sinks), progress_(progress) {
    for (size_t i = 0; i < facts_.tasks.size(); ++i) {
      total_ += BytesOf(i);
      (BytesOf(i) < kDrainByTwo ? small_ : large_).push_back(i);
    }
    for (const auto& [id, object] : facts_.shared_memory) total_ += object.pages * kImagePageSize;
  }

  absl::Status Run() {
    RETURN_IF_ERROR(DrainShared());
    for (const size_t i : large_) {
      RETURN_IF_ERROR(DrainTask(i, Within()));
      done_ += BytesOf(i);
    }
    if (small_.size() < 2) return DrainSmall(progress_);
    std::future<absl::Status> beside =
        std::async(std::launch::async, [this] { return DrainSmall({}); });
    absl::Status status = DrainSmall(progress_);
    status.Update(beside.get());
    return status;
  }

 private:
  uint64_t BytesOf(size_t i) const { return facts_.tasks[i].pages.pages * kImagePageSize; }

  // What a part tells, as part of the whole; nothing where nobody wants to be told.
  DrainProgress Within() const {
    if (!progress_) return {};
    return [this](uint64_t done, uint64_t) { return progress_(done_ + done, total_); };
  }

  absl::Status DrainShared() {
    size_t sink = facts_.tasks.size();
    for (const auto& [id, object] : facts_.shared_memory) {
      const SharedObjectMemory memory{BorrowedFd(object.file)};
      RETURN_IF_ERROR(DrainPages(memory, object.runs, sinks_[sink++], Within()));
      done_ += object.pages * kImagePageSize;
    }
    return absl::OkStatus();
  }

  absl::Status DrainSmall(const DrainProgress& progress) {
    for (size_t next = next_++; next < small_.size() && !failed_; next = next_++) {
      absl::Status status = DrainTask(small_[next], {});
      done_ += BytesOf(small_[next]);
      if (status.ok() && progress) status = progress(done_, total_);
      if (status.ok()) continue;
      failed_ = true;
      return status;
    }
    return absl::OkStatus();
  }

  absl::Status DrainTask(size_t i, const DrainProgress& progress) {
    const FrozenTask& task = tree_.tasks()[i];
    const FrozenFacts& facts = facts_.tasks[i];
    ASSIGN_OR_RETURN(const FrozenTaskMemory memory,
                     FrozenTaskMemory::Open(task.pid(), task.dir(), facts.vmas));
    return DrainPages(memory, facts.pages.runs, sinks_[i], progress);
  }

  const FrozenTree& tree_;
  const TreeFacts& facts_;
  std::span<PageSink> sinks_;
  const DrainProgress& progress_;
  std::vector<size_t> large_;
  std::vector<size_t> small_;
  uint64_t total_ = 0;
  std::atomic<uint64_t> done_ = 0;
  std::atomic<size_t> next_ = 0;
  std::atomic<bool> failed_ = false;
};

}  // namespace

absl::Status DrainTree(const FrozenTree& tree, const TreeFacts& facts, std::span<PageSink> sinks,
                       const DrainProgress& progress) {
  return Drain(tree, facts, sinks, progress).Run();
}

}  // namespace dumpctl
