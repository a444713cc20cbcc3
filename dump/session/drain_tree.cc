#include "dump/session/drain_tree.h"

#include <atomic>
#include <cstdint>
#include <future>
#include <memory>
#include <optional>
#include <vector>

#include "dump/mm/divided_memory.h"
#include "dump/mm/memory_source.h"
#include "dump/mm/self_writer.h"
#include "dump/session/frozen_memory.h"
#include "dump/session/write_once.h"
#include "dump/session/writer_beside.h"
#include "dumpctl/beside.h"
#include "dumpctl/failure.h"
#include "dumpctl/status_macros.h"
#include "dumpctl/trace.h"

namespace dumpctl {
namespace {

// Who writes itself is traced by this thread, and so is never drained beside it.
static_assert(WriterBeside::kWorth >= kDrainByTwo && kWorthDividing / 2 >= kDrainByTwo);

class Drain {
 public:
  // `tree`: null where those are drained that there are copies of, instead of the others.
  // `held`: null where all is written at once.
  Drain(const FrozenTree* tree, const TreeFacts& facts, Snapshot& snapshot,
        std::span<PageSink> sinks, HeldPages* held, const DrainProgress& progress)
      : tree_(tree),
        facts_(facts),
        snapshot_(snapshot),
        sinks_(sinks),
        held_(held),
        progress_(progress) {
    for (size_t i = 0; i < facts_.tasks.size(); ++i) {
      half_.push_back(FamilyOfDivided(facts_.shared_pages, i));
      if (!IsOurs(i)) continue;
      total_ += BytesOf(i);
      (BytesOf(i) < kDrainByTwo ? small_ : large_).push_back(i);
    }
    for (const PageFamily& family : facts_.shared_pages.families) {
      if (IsNow(family)) total_ += family.pages * kImagePageSize;
    }
    if (tree_ == nullptr) return;
    for (const auto& [id, object] : facts_.shared_memory) total_ += object.pages * kImagePageSize;
  }

  absl::Status Run() {
    NameOwners();
    if (!sinks_.empty() && sinks_.front().stream() != nullptr) return DrainInOrder();
    if (tree_ != nullptr) RETURN_IF_ERROR(DrainShared());
    RETURN_IF_ERROR(DrainFamilies());
    std::future<absl::Status> beside;
    // Large tasks keep us both busy, unless they write themselves.
    if (tree_ == nullptr && !large_.empty() && !small_.empty()) beside = DrainSmallBeside();
    absl::Status status = DrainLarge();
    if (!status.ok()) failed_ = true;
    if (!beside.valid() && small_.size() >= 2) beside = DrainSmallBeside();
    status.Update(DrainSmall(progress_));
    if (beside.valid()) status.Update(beside.get());
    return status;
  }

 private:
  bool IsOurs(size_t i) const { return (snapshot_.MemoryOf(i) == nullptr) == (tree_ != nullptr); }

  // Of what a divided task has in its family.
  uint64_t BytesOfHalf(size_t i) const {
    return half_[i] ? facts_.shared_pages.families[*half_[i]].pages * kImagePageSize : 0;
  }

  uint64_t BytesOf(size_t i) const { return facts_.tasks[i].pages.pages * kImagePageSize; }

  bool IsNow(const PageFamily& family) const {
    return IsCopied(family, snapshot_) == (tree_ == nullptr);
  }

  // What a part tells, as part of the whole; nothing where nobody wants to be told.
  DrainProgress Within() const {
    if (!progress_) return {};
    return [this](uint64_t done, uint64_t) { return progress_(done_ + done, total_); };
  }

  void NameOwners() {
    for (size_t i = 0; i < facts_.tasks.size(); ++i) {
      sinks_[i].BelongTo({ImageKind::kPagemap, static_cast<uint32_t>(facts_.tasks[i].process.pid)});
    }
    size_t sink = facts_.tasks.size();
    for (const auto& [id, object] : facts_.shared_memory) {
      sinks_[sink++].BelongTo({ImageKind::kSharedPagemap, static_cast<uint32_t>(id)});
    }
  }

  // A stream takes one after the other, the root of the tree first; what tasks share comes last.
  absl::Status DrainInOrder() {
    for (size_t i = 0; i < facts_.tasks.size(); ++i) {
      if (!IsOurs(i)) continue;
      RETURN_IF_ERROR(DrainTask(i, Within()));
      done_ += BytesOf(i);
    }
    if (tree_ != nullptr) RETURN_IF_ERROR(DrainShared());
    return DrainFamilies();
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

  absl::Status DrainFamilies() {
    size_t sink = facts_.tasks.size() + facts_.shared_memory.size();
    for (const PageFamily& family : facts_.shared_pages.families) {
      const size_t into = sink++;
      // With the rest of what it has.
      if (!IsNow(family) || family.members.size() == 1) continue;
      ASSIGN_OR_RETURN(const FamilyMemory memory, FamilyMemory::Open(tree_, snapshot_, family));
      RETURN_IF_ERROR(DrainPages(memory, RunsOf(family), sinks_[into], Within()));
      done_ += family.pages * kImagePageSize;
    }
    return absl::OkStatus();
  }

  absl::Status DrainLarge() {
    for (const size_t i : large_) {
      RETURN_IF_ERROR(DrainTask(i, Within()));
      done_ += BytesOf(i) + BytesOfHalf(i);
    }
    return absl::OkStatus();
  }

  std::future<absl::Status> DrainSmallBeside() {
    return RunBeside([this] {
      const TraceSpan span(TraceKind::kThread, "copy tasks");
      return DrainSmall({});
    });
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
    const FrozenFacts& facts = facts_.tasks[i];
    const pid_t pid = facts.process.pid;
    if (facts.scanned_later) return absl::InternalError("memory is to be written unscanned");
    const TraceSpan span(TraceKind::kTask, "memory", {{"pid", pid}, {"bytes", BytesOf(i)}});
    AccountInFamily(i);
    Parts parts(*this, i);
    if (tree_ == nullptr) {
      // Only who holds the copy, which is this thread, can have it write.
      const SelfWriters writers =
          BytesOf(i) < kDrainByTwo ? SelfWriters() : snapshot_.WritersOf(i, parts.size());
      for (size_t each = 0; each < writers.size(); ++each) parts.Give(each, *writers[each]);
      return parts.Write(*snapshot_.MemoryOf(i), progress);
    }
    const FrozenTask& task = tree_->tasks()[i];
    if (MayWriteBeside(i)) {
      const auto beside = snapshot_.WriteBeside(task, facts, parts.size());
      if (FailureOf(beside.status()) == Failure::kTargetDied) return beside.status();
      if (beside.ok()) return DrainBeside(**beside, parts, progress);
    }
    ASSIGN_OR_RETURN(const FrozenTaskMemory memory, OpenMemory(task, facts));
    if (held_ != nullptr && IsAlone() && parts.size() == 1) {
      ASSIGN_OR_RETURN(const bool held, held_->Read(memory, facts.pages.runs, sinks_[i]));
      if (held) return absl::OkStatus();
    }
    return parts.Write(memory, progress);
  }

  bool IsAlone() const { return small_.size() + large_.size() == 1; }

  // What a task has, by the sinks that it goes to.
  class Parts {
   public:
    Parts(Drain& drain, size_t i) {
      if (drain.IsAlone()) by_two_ = kDrainAloneByTwo;
      parts_.push_back({nullptr, drain.facts_.tasks[i].pages.runs, &drain.sinks_[i]});
      if (!drain.half_[i]) return;
      const size_t families = drain.facts_.tasks.size() + drain.facts_.shared_memory.size();
      parts_.push_back({nullptr, drain.facts_.shared_pages.in_family[i],
                        &drain.sinks_[families + *drain.half_[i]]});
    }

    size_t size() const { return parts_.size(); }
    void Give(size_t part, SelfWriter& writer) { parts_[part].writer = &writer; }

    absl::Status Write(const MemorySource& memory, const DrainProgress& progress) {
      for (DrainPart& part : parts_) part.source = &memory;
      // One who writes can write both, one after the other.
      SelfWriter* const only = parts_.front().writer;
      if (parts_.back().writer != nullptr || only == nullptr) {
        return DrainParts(parts_, progress, by_two_);
      }
      parts_.back().writer = only;
      return DrainInTurn(parts_, progress, by_two_);
    }

   private:
    uint64_t by_two_ = kDrainByTwo;
    std::vector<DrainPart> parts_;
  };

  // Only a file that is not written directly can be given to who is to write.
  bool MayWriteBeside(size_t i) const {
    return snapshot_.MayWriteBeside() && BytesOf(i) >= WriterBeside::kWorth &&
           sinks_[i].stream() == nullptr && !sinks_[i].direct();
  }

  static absl::Status DrainBeside(WriterBeside& beside, Parts& parts,
                                  const DrainProgress& progress) {
    for (size_t each = 0; each < beside.writers(); ++each) parts.Give(each, beside.writer(each));
    absl::Status status = parts.Write(beside.memory(), progress);
    status.Update(beside.End());
    return status;
  }

  void AccountInFamily(size_t i) {
    if (facts_.shared_pages.in_family.empty()) return;
    for (const PageRun& run : facts_.shared_pages.in_family[i]) {
      sinks_[i].AccountInParent(run.start, run.pages);
    }
  }

  const FrozenTree* tree_;
  const TreeFacts& facts_;
  Snapshot& snapshot_;
  std::span<PageSink> sinks_;
  HeldPages* held_;
  const DrainProgress& progress_;
  std::vector<std::optional<size_t>> half_;  // by task: FamilyOfDivided
  std::vector<size_t> large_;
  std::vector<size_t> small_;
  uint64_t total_ = 0;
  std::atomic<uint64_t> done_ = 0;
  std::atomic<size_t> next_ = 0;
  std::atomic<bool> failed_ = false;
};

}  // namespace

absl::Status DrainTree(const FrozenTree& tree, const TreeFacts& facts, Snapshot& snapshot,
                       std::span<PageSink> sinks, HeldPages& held, const DrainProgress& progress) {
  return Drain(&tree, facts, snapshot, sinks, &held, progress).Run();
}

absl::Status DrainSnapshot(const TreeFacts& facts, Snapshot& snapshot, std::span<PageSink> sinks,
                           const DrainProgress& progress) {
  return Drain(nullptr, facts, snapshot, sinks, nullptr, progress).Run();
}

}  // namespace dumpctl
