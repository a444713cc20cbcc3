#include "dump/session/snapshot.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "dump/mm/divided_memory.h"
#include "dump/mm/kept_pages.h"
#include "dump/session/copy_refusal.h"
#include "dump/session/memory_headroom.h"
#include "dump/session/self_writing.h"
#include "dumpctl/failure.h"
#include "dumpctl/status_macros.h"
#include "dumpctl/trace.h"
#include "proc/stat_parser.h"

namespace dumpctl {
namespace {

// Of pages that a copy does not have: bounded memory, and read in the freeze.
constexpr uint64_t kMostKept = 16 << 20;
constexpr absl::Duration kReapTimeout = absl::Seconds(10);

// Whose pages fork(2) leaves out of a copy, or may fail to keep there (a huge page that is written
// to where there is no other).
bool IsKept(const Vma& vma) {
  return vma.mapping.Has(VmFlag::kDontCopy) || vma.mapping.Has(VmFlag::kWipeOnFork) ||
         vma.mapping.Has(VmFlag::kDroppable) || vma.mapping.Has(VmFlag::kHugeTlb);
}

std::vector<PageRun> KeptRuns(const VmaList& vmas, const std::vector<PageRun>& runs) {
  std::vector<PageRun> kept;
  auto run = runs.begin();
  for (const Vma& vma : vmas) {
    if (!IsKept(vma)) continue;
    while (run != runs.end() && run->end() <= vma.start()) ++run;
    // A run may reach over several mappings.
    for (auto next = run; next != runs.end() && next->start < vma.end(); ++next) {
      const RemoteAddress start = std::max(next->start, vma.start());
      const RemoteAddress end = std::min(next->end(), vma.end());
      kept.push_back({start, (end - start) / kImagePageSize});
    }
  }
  return kept;
}

// A copy is made of page tables, by the kernel, and each has memory to be found first: pages that
// lie far apart are written faster than copied. In units of 0.1 us, as measured: a page costs 1 to
// copy and 12 to write, a table 25, and a copy that is made, held and waited for 5,000.
bool IsCopiedFaster(const std::vector<PageRun>& runs) {
  constexpr uint64_t kBytesOfTable = 2 << 20;
  uint64_t pages = 0;
  uint64_t tables = 0;
  uint64_t next = 0;
  for (const PageRun& run : runs) {
    pages += run.pages;
    const uint64_t first = std::max(next, run.start.value() / kBytesOfTable);
    next = (run.end().value() - 1) / kBytesOfTable + 1;
    tables += next - std::min(next, first);
  }
  return 12 * pages > pages + 25 * tables + 5000;
}

}  // namespace

absl::Status Snapshot::Prepare(std::span<const Target> targets) {
  uint64_t largest = 0;
  for (const Target& target : targets) {
    largest = std::max(largest, target.resident << 10);
  }
  const bool worth = options_.mode != SnapshotMode::kOff && largest >= options_.worth;
  if (worth) {
    ASSIGN_OR_RETURN(room_, MemoryHeadroom(targets.front().dir));
    // Copies are not all that wants memory.
    room_ -= room_ / 8;
    if (options_.max_extra) room_ = std::min(room_, *options_.max_extra);
  }
  if (!worth && largest < WriterBeside::kWorth) return absl::OkStatus();
  RETURN_IF_ERROR(guardian_.Start());
  prepared_ = worth;
  may_write_beside_ = largest >= WriterBeside::kWorth;
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<WriterBeside>> Snapshot::WriteBeside(const FrozenTask& task,
                                                                    const FrozenFacts& facts,
                                                                    size_t wanted) {
  if (!may_write_beside_) return absl::FailedPreconditionError("no guardian was started");
  return WriterBeside::Start(task, facts, guardian_, wanted);
}

absl::Status Snapshot::CopyTask(size_t place, const FrozenTask& task, const FrozenFacts& facts,
                                std::vector<PageRun> kept_runs) {
  const TraceSpan span(TraceKind::kTask, "copy", {{"pid", task.pid()}});
  ASSIGN_OR_RETURN(const std::string text, task.dir().ReadWhole("stat"));
  ASSIGN_OR_RETURN(const TaskStat stat, ParseStat(text));
  ASSIGN_OR_RETURN(const FrozenTaskMemory memory,
                   FrozenTaskMemory::Open(task.pid(), task.dir(), facts.vmas));
  ASSIGN_OR_RETURN(KeptPages kept, KeptPages::Read(memory, std::move(kept_runs)));
  ASSIGN_OR_RETURN(const size_t number, guardian_.Begin(task.pid(), stat.start_time));
  absl::StatusOr<ProcessCopy> copy = ProcessCopy::Make(task);
  if (!copy.ok()) {
    guardian_.Done(number);
    return copy.status();
  }
  guardian_.Made(number, copy->pid_inside());
  copies_.push_back({.maker = task.pid(),
                     .start_time = stat.start_time,
                     .number = number,
                     .copy = *std::move(copy),
                     .task = place,
                     .rseq = task.threads().front().rseq});
  ASSIGN_OR_RETURN(FrozenTaskMemory copied,
                   FrozenTaskMemory::OpenCopy(task.pid(), copies_.back().copy.dir()));
  memory_.back() = std::make_unique<CopiedTaskMemory>(std::move(copied), std::move(kept));
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> Snapshot::Take(const FrozenTree& tree,
                                                        const TreeFacts& facts) {
  const auto& shared = facts.shared_pages.in_family;
  std::vector<std::string> not_copied;
  for (size_t i = 0; i < facts.tasks.size(); ++i) {
    memory_.emplace_back();
    const FrozenFacts& task = facts.tasks[i];
    const std::vector<PageRun> runs = RunsOfTask(facts.shared_pages, i, task.pages.runs);
    const uint64_t bytes = BytesOf(runs);
    if (bytes < options_.worth) continue;
    if (options_.worth == SnapshotOptions::kWorthOfItself && !IsCopiedFaster(runs)) continue;
    std::string why;
    if (bytes > room_) {
      why = absl::StrCat("its ", bytes >> 20,
                         " MiB may come to take more memory than there is for "
                         "copies (",
                         room_ >> 20, " MiB)");
    } else {
      why = WhyNoCopy(tree.tasks()[i], task);
    }
    std::vector<PageRun> kept = KeptRuns(task.vmas, runs);
    if (why.empty() && BytesOf(kept) > kMostKept) {
      why =
          "it has too many pages that a copy would not have (MADV_DONTFORK, MADV_WIPEONFORK, huge "
          "pages)";
    }
    // They may be read from this task for all who share them.
    if (why.empty() && !shared.empty() && !FamilyOfDivided(facts.shared_pages, i) &&
        !KeptRuns(task.vmas, shared[i]).empty()) {
      why = "it shares pages that a copy would not have (MADV_DONTFORK, MADV_WIPEONFORK)";
    }
    if (why.empty()) {
      const absl::Status status = CopyTask(i, tree.tasks()[i], task, std::move(kept));
      if (FailureOf(status) == Failure::kTargetDied) return status;
      if (status.ok()) {
        room_ -= bytes;
        continue;
      }
      why = std::string(status.message());
    }
    not_copied.push_back(absl::StrCat("process ", tree.tasks()[i].pid(), ": ", why));
  }
  return not_copied;
}

SelfWriters Snapshot::WritersOf(size_t task, size_t most) const {
  for (const Copy& copy : copies_) {
    if (copy.task != task) continue;
    absl::StatusOr<SelfWriters> writers =
        dumpctl::WritersOf(copy.copy, copy.rseq, memory_[task]->kept(), most);
    // It can be read from as well.
    return writers.ok() ? *std::move(writers) : SelfWriters();
  }
  return {};
}

absl::Status Snapshot::End() {
  absl::Status status;
  for (Copy& copy : copies_) copy.copy.End();
  for (const Copy& copy : copies_) {
    // It stands still once more.
    const TraceSpan span(TraceKind::kTask, "reap the copy of", {{"pid", copy.maker}});
    const absl::Status reaped =
        ReapCopy(copy.maker, copy.start_time, copy.copy.pid_inside(), absl::Now() + kReapTimeout);
    if (reaped.ok()) {
      guardian_.Done(copy.number);
    } else if (status.ok()) {
      status = absl::Status(
          reaped.code(),
          absl::StrCat("process ", copy.maker, " has a dead child, ", copy.copy.pid_inside(),
                       ", that it cannot be rid of: ", std::string(reaped.message())));
    }
  }
  memory_.clear();
  copies_.clear();
  return status;
}

}  // namespace dumpctl
