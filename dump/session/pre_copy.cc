#include "dump/session/pre_copy.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "dump/session/snapshot_mode.h"
#include "dump/session/write_once.h"
#include "dumpctl/status_macros.h"
#include "dumpctl/trace.h"

namespace dumpctl {
namespace {

// Bytes from which on it is worth two or three stops more, each of up to 2 ms.
constexpr uint64_t kWorth = 256 << 20;

// Of so much it is written sooner in the freeze than told how much it is.
constexpr uint64_t kLittle = 8 << 20;
constexpr int kMostRounds = 3;

uint64_t WorthOf(const DumpOptions& options) {
  return options.snapshot.mode == SnapshotMode::kPreCopy ? 1 : kWorth;
}

}  // namespace

absl::Status PreCopy::Run(std::span<const Target> targets, const Kinship& kinship,
                          const KernelFeatures& features, CopyGuardian* guardian,
                          Destination& destination) {
  const SnapshotMode mode = run_.options.snapshot.mode;
  if (mode != SnapshotMode::kAuto && mode != SnapshotMode::kPreCopy) return absl::OkStatus();
  const uint64_t worth = WorthOf(run_.options);
  const auto is_small = [worth](const Target& target) { return target.PrivateBytes() < worth; };
  if (std::all_of(targets.begin(), targets.end(), is_small)) return absl::OkStatus();
  if (std::string why = WhyNoPreCopy(run_.options); !why.empty()) {
    run_.log.Info(absl::StrCat("Nothing written beforehand: ", why));
    return absl::OkStatus();
  }
  if (!destination.images().can_have_parent() || destination.images().directory() == nullptr) {
    run_.FallBack("nothing written beforehand: the images directory cannot have parent images");
    return absl::OkStatus();
  }
  if (!features.Has(KernelFeature::kWriteWatch) || !features.Has(KernelFeature::kPagemapScan)) {
    run_.FallBack("nothing written beforehand: this kernel does not track writes");
    return absl::OkStatus();
  }
  const TraceSpan span(TraceKind::kPhase, "pre-copy");
  RETURN_IF_ERROR(run_.Begin("pre-copy"));
  for (const Target& target : targets) {
    if (is_small(target)) continue;
    if (kinship.alone.contains(target.pid)) {
      RETURN_IF_ERROR(Watch(target, features, worth));
    } else {
      run_.FallBack(absl::StrCat("not written beforehand: process ", target.pid,
                                 ": it may share pages with others"));
    }
  }
  if (tasks_.empty()) return absl::OkStatus();
  RETURN_IF_ERROR(WriteAll(guardian, destination));
  return CatchUp(destination);
}

absl::Status PreCopy::Watch(const Target& target, const KernelFeatures& features, uint64_t worth) {
  absl::StatusOr<std::vector<AddressRange>> mappings =
      PreCopiedTask::MappingsWorth(target, features, worth);
  if (!mappings.ok() || mappings->empty()) return absl::OkStatus();
  absl::StatusOr<PreCopiedTask> made =
      PreCopiedTask::Watch(target, *std::move(mappings), features, Terms());
  // Who did not stop is still held, and nobody else can stop it meanwhile: nor we once more.
  if (absl::IsDeadlineExceeded(made.status())) return made.status();
  if (made.ok()) {
    tasks_.push_back(*std::move(made));
  } else {
    run_.FallBack(absl::StrCat("not written beforehand: process ", target.pid, ": ",
                               made.status().message()));
  }
  return absl::OkStatus();
}

absl::Status PreCopy::WriteAll(CopyGuardian* guardian, Destination& destination) {
  std::vector<std::vector<PageSink>> sinks(tasks_.size());
  const auto open_for_all = [&]() -> absl::Status {
    for (std::vector<PageSink>& of_task : sinks) {
      ASSIGN_OR_RETURN(PageSink sink, destination.OpenInParent());
      of_task.push_back(std::move(sink));
    }
    return absl::OkStatus();
  };
  if (DividesLarge(run_.options) && WritesOnce(run_.options, destination.images())) {
    RETURN_IF_ERROR(open_for_all());
    RETURN_IF_ERROR(destination.images().directory()->DeepenParent());
  }
  RETURN_IF_ERROR(open_for_all());
  for (size_t i = 0; i < tasks_.size(); ++i) {
    RETURN_IF_ERROR(Write(tasks_[i], std::move(sinks[i]), guardian));
  }
  return absl::OkStatus();
}

absl::Status PreCopy::Write(PreCopiedTask& task, std::vector<PageSink> sinks,
                            CopyGuardian* guardian) {
  const absl::Time begun = absl::Now();
  const TraceSpan span(TraceKind::kTask, "write beforehand", {{"pid", task.pid()}});
  RETURN_IF_ERROR(
      Survive(task.Write(std::move(sinks), guardian, Terms(), run_.MemoryProgress()), task));
  if (task.has_ended()) return absl::OkStatus();
  run_.log.Info(absl::StrCat("Wrote ", task.bytes() / kImagePageSize, " pages of process ",
                             task.pid(), " beforehand in ",
                             absl::ToInt64Microseconds(absl::Now() - begun), " us"));
  return absl::OkStatus();
}

absl::Status PreCopy::Survive(absl::Status status, PreCopiedTask& task) {
  // Others than the root come and go until all stand.
  const bool has_ended = absl::IsNotFound(status) && task.pid() != run_.options.pid;
  if (!has_ended && !absl::IsAborted(status)) return status;
  run_.FallBack(absl::StrCat("not written beforehand: process ", task.pid(),
                             has_ended ? " has ended: " : ": ", status.message()));
  task.GiveUp();
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> PreCopy::Lag() {
  uint64_t lag = 0;
  for (PreCopiedTask& task : tasks_) {
    if (task.has_ended()) continue;
    const absl::StatusOr<uint64_t> bytes = task.Lag();
    RETURN_IF_ERROR(Survive(bytes.status(), task));
    lag += bytes.value_or(0);
  }
  return lag;
}

// As long as that gains on them: who writes as fast as we do is not caught up with.
absl::Status PreCopy::CatchUp(Destination& destination) {
  RETURN_IF_ERROR(run_.Begin("catch-up"));
  uint64_t before = BytesWritten();
  ASSIGN_OR_RETURN(lag_, Lag());
  for (int round = 0; round < kMostRounds && lag_ > kLittle && lag_ <= before / 2; ++round) {
    const TraceSpan span(TraceKind::kTask, "catch up", {{"bytes", lag_}});
    RETURN_IF_ERROR(destination.images().directory()->DeepenParent());
    for (PreCopiedTask& task : tasks_) {
      if (task.has_ended()) continue;
      ASSIGN_OR_RETURN(PageSink sink, destination.OpenInParent());
      RETURN_IF_ERROR(Survive(task.CatchUp(std::move(sink), Terms(), run_.MemoryProgress()), task));
    }
    before = lag_;
    ASSIGN_OR_RETURN(lag_, Lag());
  }
  run_.log.Info(absl::StrCat("Wrote ", BytesWritten() / kImagePageSize, " pages beforehand, ",
                             lag_ / kImagePageSize, " of which were written to since"));
  return absl::OkStatus();
}

uint64_t PreCopy::BytesWritten() const {
  uint64_t bytes = 0;
  for (const PreCopiedTask& task : tasks_) bytes += task.bytes();
  return bytes;
}

void PreCopy::Tell(TreeFacts& facts) const {
  for (FrozenFacts& task : facts.tasks) {
    for (const PreCopiedTask& copied : tasks_) {
      if (copied.pid() != task.process.pid) continue;
      task.pre_copied = true;
      task.saved = copied.saved();
      for (ThreadFacts& thread : task.threads) {
        thread.registers = copied.calls().AsEntered(thread.tid, thread.registers);
      }
    }
  }
}

void PreCopy::Settle(const TreeFacts& facts) {
  run_.report.stops_beforehand = stops_.times;
  run_.report.longest_stop_beforehand = stops_.longest;
  for (const FrozenFacts& task : facts.tasks) {
    for (PreCopiedTask& copied : tasks_) {
      if (copied.pid() != task.process.pid || task.pages.in_parent.empty()) continue;
      copied.Need();
      run_.report.pages_pre_copied += copied.bytes() / kImagePageSize;
    }
  }
}

void PreCopy::End() {
  for (PreCopiedTask& task : tasks_) task.End();
}

absl::Status PreCopy::AddTo(TreeImages& images) {
  for (PreCopiedTask& task : tasks_) {
    ASSIGN_OR_RETURN(std::vector<ImageWriter> pagemaps, task.PagemapsOfParents());
    for (size_t i = 0; i < pagemaps.size(); ++i) {
      images.family_pagemaps.push_back({.image = std::move(pagemaps[i]), .levels = i});
    }
    if (!pagemaps.empty()) run_.report.bytes_written += task.bytes();
  }
  return absl::OkStatus();
}

}  // namespace dumpctl
