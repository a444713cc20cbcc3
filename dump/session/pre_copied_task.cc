#include "dump/session/pre_copied_task.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/time/clock.h"
#include "dump/image/joined_ranges.h"
#include "dump/mm/changed_pages.h"
#include "dump/mm/memory_source.h"
#include "dump/session/frozen_facts.h"
#include "dump/tracee/remote_syscalls.h"
#include "dumpctl/status_macros.h"
#include "proc/smaps_parser.h"
#include "proc/stat_parser.h"

namespace dumpctl {
namespace {

// By maps, as far as that tells.
bool IsAnonymous(const Mapping& mapping) {
  return !mapping.shared &&
         (mapping.name.empty() || mapping.name == "[heap]" || mapping.name.starts_with("[anon:"));
}

bool IsAioRing(const Mapping& mapping) { return mapping.name.starts_with("/[aio]"); }

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

// Those of `runs` that are not in `others`.
std::vector<PageRun> Without(std::span<const PageRun> runs, std::span<const PageRun> others) {
  return SplitByParent(runs, RangesOf(others), runs).in_parent;
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

}  // namespace

absl::StatusOr<std::vector<AddressRange>> PreCopiedTask::MappingsWorth(
    const Target& target, const KernelFeatures& features, uint64_t worth) {
  // Of mappings that have less there may be thousands.
  const uint64_t least = std::min<uint64_t>(worth, 1 << 20);
  ASSIGN_OR_RETURN(const std::string text, target.dir.Read("maps"));
  ASSIGN_OR_RETURN(const std::vector<Mapping> all, ParseMaps(text));
  // What the kernel still puts into memory for it is not waited for.
  if (std::any_of(all.begin(), all.end(), IsAioRing)) return std::vector<AddressRange>();
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
    absl::Duration timeout, absl::FunctionRef<absl::Status(const FrozenTask& task)> deed) {
  ASSIGN_OR_RETURN(FrozenTask task, FrozenTask::Freeze(pid_, absl::Now() + timeout));
  ASSIGN_OR_RETURN(const TaskStat stat, ParseStat(task.dir().Read("stat").value_or("")));
  absl::Status status = absl::NotFoundError("it is another process by now");
  if (stat.start_time == start_time_) {
    calls_.Note(task);
    status = deed(task);
  }
  status.Update(task.Resume());
  return status;
}

absl::StatusOr<PreCopiedTask> PreCopiedTask::Watch(const Target& target,
                                                   std::vector<AddressRange> mappings,
                                                   const KernelFeatures& features,
                                                   absl::Duration timeout) {
  PreCopiedTask made(target, std::move(mappings));
  const auto make = [&made](const FrozenTask& task) -> absl::Status {
    RETURN_IF_ERROR(CheckMayRunCalls(task));
    ASSIGN_OR_RETURN(RemoteSyscalls calls, RemoteSyscalls::Create(task));
    ASSIGN_OR_RETURN(WriteWatch watch, WriteWatch::CreateIn(calls));
    made.watch_ = std::make_unique<WriteWatch>(std::move(watch));
    return calls.Close();
  };
  RETURN_IF_ERROR(made.WithFrozen(timeout, make));
  ASSIGN_OR_RETURN(Pagemap pagemap, Pagemap::Open(target.dir, features));
  made.pagemap_ = std::make_unique<Pagemap>(std::move(pagemap));
  // What cannot be watched, or is gone by now, is written in the freeze.
  std::erase_if(made.mappings_, [&made](const AddressRange& mapping) {
    return !made.watch_->Add(mapping.start, mapping.end, *made.pagemap_).ok();
  });
  if (made.mappings_.empty()) return absl::FailedPreconditionError("nothing of it can be watched");
  return made;
}

absl::StatusOr<std::vector<AddressRange>> PreCopiedTask::FindWritten(bool protect) {
  std::vector<AddressRange> written;
  for (const AddressRange& mapping : mappings_) {
    // Something else may be mapped there by now, which is of no matter before the freeze.
    const absl::StatusOr<bool> watched =
        pagemap_->FindWritten(mapping.start, mapping.end, false, protect,
                              [&written](RemoteAddress start, RemoteAddress end) {
                                JoinRange(AddressRange{start, end}, written);
                              });
    if (absl::IsNotFound(watched.status())) return watched.status();
  }
  return written;
}

// From when on it is known of every write whether it is seen: see above.
absl::Status PreCopiedTask::Stand(absl::Duration timeout, BorrowedFd file, CopyGuardian* guardian,
                                  std::unique_ptr<WriterAlong>& writer) {
  return WithFrozen(timeout, [&](const FrozenTask& task) -> absl::Status {
    if (guardian == nullptr) return absl::OkStatus();
    ASSIGN_OR_RETURN(RemoteSyscalls calls, RemoteSyscalls::Create(task));
    auto made = WriterAlong::Start(calls, task, start_time_, *guardian, file);
    // It can be read from as well.
    if (made.ok()) writer = *std::move(made);
    return calls.Close();
  });
}

absl::Status PreCopiedTask::EndWriter(absl::Duration timeout, WriterAlong& writer) {
  return WithFrozen(timeout, [&writer](const FrozenTask& task) -> absl::Status {
    ASSIGN_OR_RETURN(RemoteSyscalls calls, RemoteSyscalls::Create(task));
    absl::Status status = writer.End(calls, task);
    status.Update(calls.Close());
    return status;
  });
}

absl::Status PreCopiedTask::Drain(std::span<const PageRun> runs, PageSink sink, SelfWriter* writer,
                                  const DrainProgress& progress) {
  ASSIGN_OR_RETURN(const LivingTaskMemory memory, LivingTaskMemory::Open(pid_, dir_));
  // What is not among these pages stands further up.
  const std::vector<PageRun> before = Without(saved_, runs);
  for (const PageRun& run : before) sink.AccountInParent(run.start, run.pages);
  const DrainPart part = {&memory, runs, &sinks_.emplace_back(std::move(sink)), writer};
  RETURN_IF_ERROR(DrainParts(std::span(&part, 1), progress));
  saved_ = RunsOf(UnionOf(RangesOf(before), RangesOf(Without(runs, memory.Missed()))));
  return absl::OkStatus();
}

absl::Status PreCopiedTask::Write(PageSink sink, CopyGuardian* guardian, absl::Duration timeout,
                                  const DrainProgress& progress) {
  RETURN_IF_ERROR(FindWritten(true).status());
  std::unique_ptr<WriterAlong> writer;
  RETURN_IF_ERROR(Stand(timeout, sink.file(), guardian, writer));
  ASSIGN_OR_RETURN(const std::vector<PageRun> runs,
                   ContentOf(mappings_, *pagemap_, PageFilter::kNonzero));
  RETURN_IF_ERROR(Drain(runs, std::move(sink), writer ? &writer->writer() : nullptr, progress));
  return writer ? EndWriter(timeout, *writer) : absl::OkStatus();
}

absl::StatusOr<uint64_t> PreCopiedTask::Lag() {
  ASSIGN_OR_RETURN(const std::vector<AddressRange> written, FindWritten(false));
  return dumpctl::BytesOf(RunsOf(written));
}

absl::Status PreCopiedTask::CatchUp(PageSink sink, absl::Duration timeout,
                                    const DrainProgress& progress) {
  ASSIGN_OR_RETURN(const std::vector<AddressRange> written, FindWritten(true));
  std::unique_ptr<WriterAlong> none;
  RETURN_IF_ERROR(Stand(timeout, sink.file(), nullptr, none));
  return Drain(RunsOf(written), std::move(sink), nullptr, progress);
}

std::span<const PageRun> PreCopiedTask::saved() const {
  if (!watch_ || !watch_->IsAlive()) return {};
  return saved_;
}

void PreCopiedTask::End() {
  if (watch_) watch_->End(dir_);
  watch_.reset();
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
