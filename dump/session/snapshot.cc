#include "dump/session/snapshot.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "dump/mm/kept_pages.h"
#include "dump/session/copy_refusal.h"
#include "dump/session/frozen_memory.h"
#include "dump/session/memory_headroom.h"
#include "dump/session/process_room.h"
#include "dump/session/self_writing.h"
#include "dumpctl/failure.h"
#include "dumpctl/status_macros.h"
#include "dumpctl/trace.h"
#include "proc/stat_parser.h"
#include "proc/status_parser.h"

namespace dumpctl {
namespace {

// Of pages that copies do not have, of all tasks: bounded memory, and read in the freeze.
constexpr uint64_t kMostKept = 16 << 20;

std::vector<PageRun> KeptRuns(const VmaList& vmas, const std::vector<PageRun>& runs) {
  std::vector<PageRun> kept;
  auto run = runs.begin();
  for (const Vma& vma : vmas) {
    if (!IsNotCopied(vma)) continue;
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

// What one page table maps.
constexpr uint64_t kBytesOfTable = 2 << 20;

uint64_t TablesOf(const std::vector<PageRun>& runs) {
  uint64_t tables = 0;
  uint64_t next = 0;
  for (const PageRun& run : runs) {
    const uint64_t first = std::max(next, run.start.value() / kBytesOfTable);
    next = (run.end().value() - 1) / kBytesOfTable + 1;
    tables += next - std::min(next, first);
  }
  return tables;
}

// What a task may have to be saved.
struct Amount {
  uint64_t pages = 0;
  uint64_t tables = 0;    // that these lie in
  uint64_t standing = 0;  // pages in images by now, which a copy has as well

  uint64_t bytes() const { return pages * kImagePageSize; }
  // What lies in so many tables, and no more.
  uint64_t most_bytes() const { return tables * kBytesOfTable; }
};

constexpr uint64_t kKibOfPage = kImagePageSize >> 10;

// By task: what is read of it for all who share it.
std::vector<uint64_t> BytesReadForAll(const TreeFacts& facts) {
  std::vector<uint64_t> bytes(facts.tasks.size());
  for (const PageFamily& family : facts.shared_pages.families) {
    for (const SharedStretch& stretch : family.stretches) {
      bytes[stretch.reader] += stretch.run.bytes();
    }
  }
  return bytes;
}

// Copies are charged where who is copied is.
struct Room {
  uint64_t bytes = UINT64_MAX;
  uint64_t processes = UINT64_MAX;
};

// The least of those that are large enough to be copied, or written from beside, and have cgroups,
// or limits, of their own. What is written from beside takes no memory: `copies`.
absl::StatusOr<Room> RoomOf(std::span<const Target> targets, uint64_t least, bool copies) {
  Room room;
  std::set<std::pair<std::string, bool>> seen;
  for (const Target& target : targets) {
    if ((target.resident + target.swapped) << 10 < least) continue;
    const bool limited = target.uid != 0 && HasLowProcessLimit(target.dir);
    if (!seen.emplace(target.dir.ReadWhole("cgroup").value_or(""), limited).second) continue;
    if (copies) {
      ASSIGN_OR_RETURN(const uint64_t bytes, MemoryHeadroom(target.dir));
      room.bytes = std::min(room.bytes, bytes);
    }
    room.processes = std::min(room.processes, limited ? 0 : RoomForProcesses(target.dir));
  }
  return room;
}

// By what was seen of it before it stood still: with the pages of files.
Amount AmountSeen(const Target& target) {
  return {(target.resident + target.swapped) / kKibOfPage, target.page_tables / kKibOfPage};
}

// By what the kernel counts. The tables are as many at most. Nothing of a task whose leader has
// ended.
Amount AmountInMemory(const FrozenFacts& facts) {
  const absl::StatusOr<TaskStatus> status = ParseStatus(facts.threads.front().status_text);
  if (!status.ok()) return {};
  return {(status->anonymous + status->swapped) / kKibOfPage, status->page_tables / kKibOfPage};
}

// A copy is made of page tables, by the kernel, and each has memory to be found first: pages that
// lie far apart are written faster than copied. In units of 0.1 us, as measured: a page costs 1 to
// copy and 12 to write, a table 25, and a copy that is made, held and waited for 5,000.
bool IsCopiedFaster(const Amount& amount) {
  return 12 * amount.pages > amount.pages + amount.standing + 25 * amount.tables + 5000;
}

bool IsWorthCopy(const Amount& amount, uint64_t worth) {
  if (amount.bytes() < worth) return false;
  return worth != SnapshotOptions::kWorthOfItself || IsCopiedFaster(amount);
}

// Whose pages were to be looked for in its copy.
absl::Status ScanNow(const FrozenTask& task, const KernelFeatures& features, FrozenFacts& own) {
  ASSIGN_OR_RETURN(own.pages, ScanPages(task.dir(), own.vmas, features));
  own.scanned_later = false;
  return absl::OkStatus();
}

}  // namespace

absl::Status Snapshot::Prepare(std::span<const Target> targets) {
  uint64_t largest = 0;
  bool worth = false;
  for (const Target& target : targets) {
    largest = std::max(largest, target.resident << 10);
    worth = worth || IsWorthCopy(AmountSeen(target), options_.worth);
  }
  worth = worth && options_.mode != SnapshotMode::kOff;
  bool strict = false;
  if (worth) {
    ASSIGN_OR_RETURN(strict, IsAccountedStrictly());
  }
  worth = worth && !strict;
  const bool any_size = options_.mode == SnapshotMode::kPreCopy;
  if (worth || largest >= WriterBeside::kWorth || any_size) {
    const uint64_t least = any_size ? 0 : std::min(options_.worth, WriterBeside::kWorth);
    ASSIGN_OR_RETURN(const Room room, RoomOf(targets, least, worth));
    // Copies are not all that wants memory.
    room_ = room.bytes - room.bytes / 8;
    if (options_.max_extra) room_ = std::min(room_, *options_.max_extra);
    RETURN_IF_ERROR(guardian_.Start(targets.size()));
    started_ = true;
    processes_ = room.processes;
    prepared_ = worth;
    may_write_beside_ = largest >= WriterBeside::kWorth;
  }
  if (!strict) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      "a copy would count as all that the process has mapped (vm.overcommit_memory is 2)");
}

absl::StatusOr<std::unique_ptr<WriterBeside>> Snapshot::WriteBeside(const FrozenTask& task,
                                                                    const FrozenFacts& facts,
                                                                    size_t wanted) {
  if (!may_write_beside_) return absl::FailedPreconditionError("no guardian was started");
  if (copies_.size() >= processes_) return absl::FailedPreconditionError("no room for a process");
  return WriterBeside::Start(task, facts, guardian_, wanted);
}

absl::Status Snapshot::CopyTask(size_t place, const FrozenTask& task, const FrozenFacts& facts,
                                std::vector<PageRun> kept_runs) {
  const TraceSpan span(TraceKind::kTask, "copy", {{"pid", task.pid()}});
  ASSIGN_OR_RETURN(const TaskStat stat, ParseStat(facts.process.stat_text));
  ASSIGN_OR_RETURN(const FrozenTaskMemory memory, OpenMemory(task, facts));
  ASSIGN_OR_RETURN(KeptPages kept, KeptPages::Read(memory, std::move(kept_runs)));
  ASSIGN_OR_RETURN(
      CopyGuardian::Guarded made,
      guardian_.Guard(task.pid(), stat.start_time, [&task] { return ProcessCopy::Make(task); }));
  copies_.push_back({.number = made.number,
                     .copy = std::move(made.copy),
                     .task = place,
                     .rseq = task.threads().front().rseq});
  ASSIGN_OR_RETURN(FrozenTaskMemory copied,
                   FrozenTaskMemory::OpenSharing(task.pid(), copies_.back().copy.dir()));
  memory_.back() = std::make_unique<CopiedTaskMemory>(std::move(copied), std::move(kept));
  return absl::OkStatus();
}

bool Snapshot::CopiesUnscanned(const FrozenFacts& facts) const {
  const Amount amount = AmountInMemory(facts);
  return IsWorthCopy(amount, options_.worth) && amount.most_bytes() <= room_;
}

// Why it is not copied; empty where it is, or need not be.
absl::StatusOr<std::string> Snapshot::TakeTask(size_t place, const FrozenTask& task,
                                               const KernelFeatures& features,
                                               uint64_t read_for_all, TreeFacts& facts) {
  FrozenFacts& own = facts.tasks[place];
  const std::vector<PageRun>& runs = own.pages.runs;
  uint64_t bytes = 0;
  if (own.scanned_later) {
    ASSIGN_OR_RETURN(own.pages, ScanPages(task.dir(), own.vmas, features, ScanOf::kNotCopied));
    bytes = AmountInMemory(own).most_bytes() + BytesOf(runs);
    // Others have taken of the room since: what it has is less than its page tables may hold.
    if (bytes > room_) RETURN_IF_ERROR(ScanNow(task, features, own));
  }
  if (!own.scanned_later) {
    // It has these as well, and each that is written to meanwhile is one page more.
    bytes = BytesOf(runs) + BytesOf(own.pages.in_parent) + read_for_all;
    const std::vector<PageRun>& standing = own.pages.in_parent;
    const Amount amount = {PagesOf(runs), TablesOf(runs) + TablesOf(standing), PagesOf(standing)};
    if (!IsWorthCopy(amount, options_.worth)) return "";
  }
  if (bytes > room_) {
    return absl::StrCat("its ", bytes >> 20,
                        " MiB may come to take more memory than there is for copies (", room_ >> 20,
                        " MiB)");
  }
  if (copies_.size() >= processes_) {
    return "there is no room for another process beside those that it may start (pids.max, "
           "RLIMIT_NPROC)";
  }
  if (std::string why = WhyNoCopy(own); !why.empty()) return why;
  std::vector<PageRun> kept = KeptRuns(own.vmas, runs);
  const uint64_t kept_bytes = BytesOf(kept);
  if (kept_bytes > kMostKept - kept_) {
    return "it has too many pages that a copy would not have (MADV_DONTFORK, MADV_WIPEONFORK, huge "
           "pages)";
  }
  // They may be read from this task for all who share them.
  const auto& shared = facts.shared_pages.in_family;
  if (!shared.empty() && !KeptRuns(own.vmas, shared[place]).empty()) {
    return "it shares pages that a copy would not have (MADV_DONTFORK, MADV_WIPEONFORK)";
  }
  const absl::Status copied = CopyTask(place, task, own, std::move(kept));
  if (FailureOf(copied) == Failure::kTargetDied) return copied;
  if (!copied.ok()) return std::string(copied.message());
  room_ -= bytes;
  kept_ += kept_bytes;
  return "";
}

absl::StatusOr<std::vector<std::string>> Snapshot::Take(const FrozenTree& tree,
                                                        const KernelFeatures& features,
                                                        TreeFacts& facts) {
  std::vector<std::string> not_copied;
  const std::vector<uint64_t> read_for_all = BytesReadForAll(facts);
  for (size_t i = 0; i < facts.tasks.size(); ++i) {
    memory_.emplace_back();
    const FrozenTask& task = tree.tasks()[i];
    ASSIGN_OR_RETURN(const std::string why, TakeTask(i, task, features, read_for_all[i], facts));
    if (!why.empty()) not_copied.push_back(absl::StrCat("process ", task.pid(), ": ", why));
    FrozenFacts& own = facts.tasks[i];
    if (!own.scanned_later || memory_.back() != nullptr) continue;
    RETURN_IF_ERROR(ScanNow(task, features, own));
  }
  return not_copied;
}

absl::StatusOr<ScannedPages> Snapshot::FindPages(size_t task, const FrozenFacts& facts,
                                                 const KernelFeatures& features) const {
  const auto copy = std::find_if(copies_.begin(), copies_.end(),
                                 [task](const Copy& each) { return each.task == task; });
  if (copy == copies_.end()) return absl::InternalError("pages are to be found in no copy");
  absl::StatusOr<ScannedPages> found =
      ScanPages(copy->copy.dir(), facts.vmas, features, ScanOf::kCopy);
  if (!found.ok()) return ExplainByKill(found.status());
  // PAGEMAP_SCAN finds nothing, and no error, where the address space is no more.
  if (!copy->copy.Stands()) return ExplainByKill(absl::NotFoundError("the copy was killed"));
  return Joined(facts.pages, *std::move(found));
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
    const absl::Status reaped = guardian_.ReapNow(copy.number);
    if (status.ok()) status = reaped;
  }
  memory_.clear();
  copies_.clear();
  return status;
}

}  // namespace dumpctl
