#include "dump/session/pre_copied_task.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <utility>

#include "absl/time/clock.h"
#include "dump/image/joined_ranges.h"
#include "dump/mm/changed_pages.h"
#include "dump/mm/divided_memory.h"
#include "dump/mm/memory_source.h"
#include "dump/mm/shared_pages.h"
#include "dump/session/frozen_facts.h"
#include "dump/tracee/remote_syscalls.h"
#include "dumpctl/status_macros.h"
#include "dumpctl/trace.h"
#include "proc/stat_parser.h"
#include "proc/task_maps.h"

namespace dumpctl {
namespace {

// By maps, as far as that tells.
bool IsAnonymous(const Mapping& mapping) {
  return !mapping.shared &&
         (mapping.name.empty() || mapping.name == "[heap]" || mapping.name.starts_with("[anon:"));
}

// By which the kernel is asked for what it does beside the process.
bool IsRing(const Mapping& mapping) {
  return mapping.name.starts_with("/[aio]") || mapping.name.starts_with("anon_inode:[io_uring]");
}

bool HasRing(std::span<const Mapping> mappings) {
  return std::any_of(mappings.begin(), mappings.end(), IsRing);
}

std::vector<PageRun> RunsOf(std::span<const AddressRange> ranges) {
  std::vector<PageRun> runs;
  runs.reserve(ranges.size());
  for (const AddressRange& range : ranges) {
    runs.push_back({range.start, (range.end - range.start) / kImagePageSize});
  }
  return runs;
}

std::vector<AddressRange> RangesOf(std::span<const PageRun> runs) {
  std::vector<AddressRange> ranges;
  ranges.reserve(runs.size());
  for (const PageRun& run : runs) ranges.push_back({run.start, run.end()});
  return ranges;
}

// By mappings, as far as they are in `ranges`; both ascending.
std::vector<AddressRange> PartsOf(std::span<const AddressRange> ranges,
                                  std::span<const Mapping> mappings) {
  std::vector<AddressRange> parts;
  auto range = ranges.begin();
  for (const Mapping& mapping : mappings) {
    while (range != ranges.end() && range->end <= mapping.start) ++range;
    for (auto next = range; next != ranges.end() && next->start < mapping.end; ++next) {
      parts.push_back({std::max(next->start, mapping.start), std::min(next->end, mapping.end)});
    }
  }
  return parts;
}

// Who tracks a process for the next dump watches all that it has by then (WriteWatch::AddAll), and
// would take pages of other mappings, which we protect, for what was not written since.
absl::StatusOr<bool> IsTracked(const ProcDir& task, const Pagemap& pagemap) {
  ASSIGN_OR_RETURN(const std::vector<Mapping> all, ReadMapsOf(task));
  const auto stack = std::find_if(all.begin(), all.end(),
                                  [](const Mapping& mapping) { return mapping.name == "[stack]"; });
  return stack == all.end() ? absl::StatusOr<bool>(false) : pagemap.IsWatched(stack->start);
}

absl::StatusOr<std::vector<PageRun>> ContentOf(std::span<const AddressRange> mappings,
                                               Pagemap& pagemap, PageFilter filter) {
  std::vector<AddressRange> found;
  for (const AddressRange& mapping : mappings) {
    RETURN_IF_ERROR(
        pagemap.Find(mapping.start, mapping.end, filter, [&found](const FoundPages& pages) {
          if (!pages.guard) JoinRange(AddressRange{pages.start, pages.end}, found);
        }));
  }
  return RunsOf(found);
}

// For so many files, as much for each.
std::vector<std::vector<PageRun>> SharesOf(std::span<const PageRun> runs, size_t files) {
  std::vector<std::vector<PageRun>> shares;
  std::vector<PageRun> rest(runs.begin(), runs.end());
  for (; files > 1; --files) {
    shares.push_back(FirstPages(rest, PagesOf(rest) / files));
    rest = RunsWithout(rest, shares.back());
  }
  shares.push_back(std::move(rest));
  return shares;
}

absl::Status WithCalls(const FrozenTask& task,
                       absl::FunctionRef<absl::Status(RemoteSyscalls& calls)> deed) {
  RETURN_IF_ERROR(CheckMayRunCalls(task));
  ASSIGN_OR_RETURN(RemoteSyscalls calls, RemoteSyscalls::Create(task));
  absl::Status status = deed(calls);
  status.Update(calls.Close());
  return status;
}

}  // namespace

absl::StatusOr<std::vector<AddressRange>> PreCopiedTask::MappingsWorth(
    const Target& target, const KernelFeatures& features, uint64_t worth) {
  // Of mappings that have less there may be thousands.
  const uint64_t least = std::min<uint64_t>(worth, 1 << 20);
  ASSIGN_OR_RETURN(const std::vector<Mapping> all, ReadMapsOf(target.dir));
  // What the kernel still puts into memory for it is not waited for.
  if (HasRing(all)) return std::vector<AddressRange>();
  ASSIGN_OR_RETURN(Pagemap pagemap, Pagemap::Open(target.dir, features));
  std::vector<AddressRange> mappings;
  uint64_t bytes = 0;
  for (const Mapping& mapping : all) {
    const AddressRange range = {mapping.start, mapping.end};
    if (!IsAnonymous(mapping) || range.end - range.start < least) continue;
    ASSIGN_OR_RETURN(const std::vector<PageRun> runs,
                     ContentOf(std::span(&range, 1), pagemap, PageFilter::kSmall));
    if (dumpctl::BytesOf(runs) < least) continue;
    bytes += dumpctl::BytesOf(runs);
    mappings.push_back(range);
  }
  if (bytes < worth) mappings.clear();
  return mappings;
}

absl::Status PreCopiedTask::WithFrozen(
    const StopTerms& terms, absl::FunctionRef<absl::Status(const FrozenTask& task)> deed) {
  const TraceSpan standing(TraceKind::kStopped, "stopped", {{"pid", pid_}});
  const absl::Time begun = absl::Now();
  ASSIGN_OR_RETURN(FrozenTask task,
                   FrozenTask::Freeze(pid_, begun + terms.timeout, terms.may_go_on));
  ASSIGN_OR_RETURN(const TaskStat stat, ParseStat(task.dir().Read("stat").value_or("")));
  absl::Status status = absl::NotFoundError("it is another process by now");
  if (stat.start_time == start_time_) {
    calls_.Note(task);
    status = deed(task);
  }
  status.Update(task.Resume());
  if (terms.stops != nullptr) {
    ++terms.stops->times;
    terms.stops->longest = std::max(terms.stops->longest, absl::Now() - begun);
  }
  return status;
}

absl::StatusOr<PreCopiedTask> PreCopiedTask::Watch(const Target& target,
                                                   std::vector<AddressRange> mappings,
                                                   const KernelFeatures& features,
                                                   const StopTerms& terms) {
  PreCopiedTask made(target, std::move(mappings), features);
  const auto make = [&made](RemoteSyscalls& calls) -> absl::Status {
    ASSIGN_OR_RETURN(WriteWatch watch, WriteWatch::CreateIn(calls));
    made.watch_ = std::make_unique<WriteWatch>(std::move(watch));
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(
      made.WithFrozen(terms, [&](const FrozenTask& task) { return WithCalls(task, make); }));
  ASSIGN_OR_RETURN(Pagemap pagemap, Pagemap::Open(target.dir, features));
  made.pagemap_ = std::make_unique<Pagemap>(std::move(pagemap));
  // What cannot be watched, or is gone by now, is written in the freeze.
  std::erase_if(made.mappings_, [&made](const AddressRange& mapping) {
    return !made.watch_->Add(mapping.start, mapping.end, *made.pagemap_).ok();
  });
  if (made.mappings_.empty()) return absl::FailedPreconditionError("nothing of it can be watched");
  // Now that who begins with it finds ours.
  ASSIGN_OR_RETURN(const bool tracked, IsTracked(target.dir, *made.pagemap_));
  if (tracked) return absl::FailedPreconditionError("its writes are tracked for another dump");
  return made;
}

absl::StatusOr<std::vector<AddressRange>> PreCopiedTask::FindWritten(bool protect) {
  ASSIGN_OR_RETURN(const std::vector<Mapping> all, ReadMapsOf(dir_));
  std::vector<AddressRange> written;
  const auto add = [&written](RemoteAddress start, RemoteAddress end) {
    JoinRange(AddressRange{start, end}, written);
  };
  // What is mapped there by now, watched or not.
  for (const AddressRange& part : PartsOf(mappings_, all)) {
    const auto watched = pagemap_->FindWritten(part.start, part.end, false, protect, add);
    if (absl::IsNotFound(watched.status())) return watched.status();
    if (watched.value_or(false) || !protect) continue;
    // Something else was mapped there meanwhile. Kernel trap: PAGEMAP_SCAN fails when it comes to
    // what nobody watches, and does not say what it has found, and protected, before.
    saved_ = RunsWithout(saved_, RunsOf(std::span(&part, 1)));
  }
  return written;
}

absl::StatusOr<std::vector<AddressRange>> PreCopiedTask::Protect(
    const StopTerms& terms, absl::FunctionRef<absl::Status(const FrozenTask& task)> deed) {
  ASSIGN_OR_RETURN(std::vector<AddressRange> written, FindWritten(true));
  // When it has stood still once, it is known of every write whether it is seen: see above.
  RETURN_IF_ERROR(WithFrozen(terms, deed));
  return written;
}

// Of what was begun before pages were protected nothing is under way where there is no ring by now:
// io_destroy(2) waits for that. What begins later finds them protected.
absl::Status PreCopiedTask::ExpectNoRing() const {
  ASSIGN_OR_RETURN(const std::vector<Mapping> all, ReadMapsOf(dir_));
  if (HasRing(all)) return absl::AbortedError("it has begun asynchronous I/O meanwhile");
  return absl::OkStatus();
}

absl::Status PreCopiedTask::Drain(std::span<const PageRun> runs, std::vector<PageSink> sinks,
                                  std::span<const std::unique_ptr<WriterAlong>> writers,
                                  const DrainProgress& progress) {
  RETURN_IF_ERROR(ExpectNoRing());
  ASSIGN_OR_RETURN(const LivingTaskMemory memory, LivingTaskMemory::Open(pid_, dir_, false));
  const std::vector<std::vector<PageRun>> shares = SharesOf(runs, sinks.size());
  const size_t first = sinks_.size();
  std::move(sinks.begin(), sinks.end(), std::back_inserter(sinks_));
  // What is not among these pages stands further up, and so do the shares before.
  const std::vector<PageRun> before = RunsWithout(saved_, runs);
  std::vector<AddressRange> above = RangesOf(before);
  std::vector<DrainPart> parts;
  for (size_t i = 0; i < shares.size(); ++i) {
    PageSink& sink = sinks_[first + i];
    for (const PageRun& run : RunsOf(above)) sink.AccountInParent(run.start, run.pages);
    above = UnionOf(above, RangesOf(shares[i]));
    SelfWriter* const writer = i < writers.size() ? &writers[i]->writer() : nullptr;
    parts.push_back({&memory, shares[i], &sink, writer});
  }
  // Where some have no writer, the others still write for themselves.
  RETURN_IF_ERROR(writers.size() < parts.size() ? DrainInTurn(parts, progress)
                                                : DrainParts(parts, progress));
  saved_ = RunsOf(UnionOf(RangesOf(before), RangesOf(RunsWithout(runs, memory.Missed()))));
  return absl::OkStatus();
}

absl::Status PreCopiedTask::Write(std::vector<PageSink> sinks, CopyGuardian* guardian,
                                  const StopTerms& terms, const DrainProgress& progress) {
  std::vector<std::unique_ptr<WriterAlong>> writers;
  const auto start = [&](const FrozenTask& task) {
    if (guardian == nullptr) return absl::OkStatus();
    return WithCalls(task, [&](RemoteSyscalls& calls) {
      for (const PageSink& sink : sinks) {
        auto made = WriterAlong::Start(calls, task, start_time_, *guardian, sink.file());
        // It can be read from as well.
        if (!made.ok()) break;
        writers.push_back(*std::move(made));
      }
      return absl::OkStatus();
    });
  };
  RETURN_IF_ERROR(Protect(terms, start).status());
  ASSIGN_OR_RETURN(const std::vector<PageRun> runs,
                   ContentOf(mappings_, *pagemap_, PageFilter::kNonzero));
  RETURN_IF_ERROR(Drain(runs, std::move(sinks), writers, progress));
  if (writers.empty()) return absl::OkStatus();
  return WithFrozen(terms, [&writers](const FrozenTask& task) {
    return WithCalls(task, [&](RemoteSyscalls& calls) {
      absl::Status status;
      for (const auto& writer : writers) status.Update(writer->End(calls, task));
      return status;
    });
  });
}

absl::StatusOr<uint64_t> PreCopiedTask::Lag() {
  ASSIGN_OR_RETURN(const std::vector<AddressRange> written, FindWritten(false));
  return dumpctl::BytesOf(RunsOf(written));
}

absl::Status PreCopiedTask::CatchUp(PageSink sink, const StopTerms& terms,
                                    const DrainProgress& progress) {
  ASSIGN_OR_RETURN(const std::vector<AddressRange> written,
                   Protect(terms, [](const FrozenTask&) { return absl::OkStatus(); }));
  std::vector<PageSink> sinks;
  sinks.push_back(std::move(sink));
  return Drain(RunsOf(written), std::move(sinks), {}, progress);
}

std::span<const PageRun> PreCopiedTask::saved() const {
  if (!watch_ || !watch_->IsAlive()) return {};
  return saved_;
}

void PreCopiedTask::End() {
  if (watch_) watch_->End(dir_, features_);
  watch_.reset();
}

void PreCopiedTask::GiveUp() {
  mappings_.clear();
  saved_.clear();
  End();
}

uint64_t PreCopiedTask::bytes() const {
  uint64_t bytes = 0;
  for (const PageSink& sink : sinks_) bytes += sink.offset();
  return bytes;
}

absl::StatusOr<std::vector<ImageWriter>> PreCopiedTask::PagemapsOfParents() {
  std::vector<ImageWriter> pagemaps;
  for (auto sink = sinks_.rbegin(); sink != sinks_.rend(); ++sink) {
    if (needed_) {
      ASSIGN_OR_RETURN(ImageWriter pagemap,
                       sink->Pagemap(ImageKind::kPagemap, static_cast<uint32_t>(pid_)));
      pagemaps.push_back(std::move(pagemap));
    } else if (ftruncate(sink->file().get(), 0) < 0) {
      return absl::ErrnoToStatus(errno, "ftruncate");
    }
  }
  return pagemaps;
}

}  // namespace dumpctl
