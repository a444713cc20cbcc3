#include "dump/session/copy_phases.h"

#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "dump/session/collect_phases.h"
#include "dump/session/drain_tree.h"
#include "dump/session/kinship.h"
#include "dump/session/write_once.h"
#include "dumpctl/failure.h"
#include "dumpctl/status_macros.h"
#include "dumpctl/trace.h"

namespace dumpctl {
namespace {

// Copies are for who runs on at once: not for who is to stand while scripts look at it.
SnapshotOptions SnapshotOptionsOf(const DumpRun& run) {
  SnapshotOptions snapshot = run.options.snapshot;
  if (!run.runs_early()) snapshot.mode = SnapshotMode::kOff;
  // Who reads a stream may be slow.
  if (!run.options.output.empty() || snapshot.mode == SnapshotMode::kCow) snapshot.worth = 1;
  return snapshot;
}

absl::Status NoSnapshot(const std::string& why) {
  return MakeFailure(Failure::kRefused, absl::StatusCode::kUnimplemented,
                     absl::StrCat("refused, with all put back: no copy of ", why,
                                  "; dump it with --snapshot=auto, which writes such memory while "
                                  "the process stands"));
}

}  // namespace

CopyPhases::CopyPhases(DumpRun& run) : run_(run), snapshot_(SnapshotOptionsOf(run)) {}

absl::Status CopyPhases::Prepare(std::span<const Target> targets) {
  const TraceSpan span(TraceKind::kPhase, "prepare copies");
  kinship_ = KinshipOf(targets);
  absl::Status status = snapshot_.Prepare(targets);
  if (status.ok()) return status;
  if (run_.options.snapshot.mode == SnapshotMode::kCow)
    return NoSnapshot(absl::StrCat("any process: ", status.message()));
  run_.FallBack(absl::StrCat("no copies: ", status.message()));
  return absl::OkStatus();
}

bool CopyPhases::MayTake(const CgroupFreezer& freezer) const {
  if (!prepared()) return false;
  if (freezer.was_frozen()) run_.FallBack("no copies: the cgroup was frozen before");
  return !freezer.was_frozen();
}

void CopyPhases::TellKin(std::span<const Target> targets, TreeFacts& facts) const {
  const bool all_known = targets.size() == facts.tasks.size();
  for (FrozenFacts& task : facts.tasks) {
    const pid_t pid = task.process.pid;
    task.may_share = kinship_.MayShare(pid, all_known);
    task.may_share_outside =
        kinship_.of_parent.contains(pid) || (!all_known && !kinship_.of_parent.empty());
  }
}

void CopyPhases::LeaveScans(bool once, TreeFacts& facts) const {
  for (FrozenFacts& task : facts.tasks) {
    const bool with_others = once && task.may_share;
    task.scanned_later = !with_others && !task.pre_copied && snapshot_.CopiesUnscanned(task);
  }
}

absl::Status CopyPhases::Take(const FrozenTree& tree, const KernelFeatures& features,
                              TreeFacts& facts) {
  const TraceSpan span(TraceKind::kPhase, "snapshot");
  RETURN_IF_ERROR(run_.Begin("snapshot"));
  const absl::Time begun = absl::Now();
  ASSIGN_OR_RETURN(const std::vector<std::string> not_copied,
                   snapshot_.Take(tree, features, facts));
  CountPages(facts, run_.report);
  for (const std::string& words : not_copied) {
    if (run_.options.snapshot.mode == SnapshotMode::kCow) return NoSnapshot(words);
    run_.FallBack(absl::StrCat("not copied: ", words));
  }
  run_.log.Info(absl::StrCat("Copied ", snapshot_.copies(), " processes in ",
                             absl::ToInt64Microseconds(absl::Now() - begun), " us"));
  return absl::OkStatus();
}

absl::Status CopyPhases::FindPages(const KernelFeatures& features, TreeFacts& facts) {
  if (snapshot_.copies() == 0) return absl::OkStatus();
  const TraceSpan span(TraceKind::kPhase, "find");
  RETURN_IF_ERROR(run_.Begin("find"));
  for (size_t i = 0; i < facts.tasks.size(); ++i) {
    FrozenFacts& task = facts.tasks[i];
    if (!task.scanned_later) continue;
    TraceSpan scan(TraceKind::kTask, "pages", {{"pid", task.process.pid}});
    ASSIGN_OR_RETURN(task.pages, snapshot_.FindPages(i, task, features));
    task.scanned_later = false;
    scan.Tell({"pages", task.pages.pages});
    run_.log.Info(absl::StrCat("Found ", task.pages.pages, " pages of process ", task.process.pid,
                               " in its copy"));
  }
  CountPages(facts, run_.report);
  return absl::OkStatus();
}

absl::Status CopyPhases::Save(const TreeFacts& facts, std::span<PageSink> sinks) {
  if (snapshot_.copies() == 0) return absl::OkStatus();
  const TraceSpan span(TraceKind::kPhase, "copies");
  RETURN_IF_ERROR(run_.Begin("copies"));
  const absl::Time begun = absl::Now();
  RETURN_IF_ERROR(DrainSnapshot(facts, snapshot_, sinks, run_.MemoryProgress()));
  DumpReport& report = run_.report;
  for (size_t i = 0; i < facts.tasks.size(); ++i) {
    if (snapshot_.MemoryOf(i) != nullptr) report.pages_by_copy += facts.tasks[i].pages.pages;
  }
  for (const PageFamily& family : facts.shared_pages.families) {
    if (IsCopied(family, snapshot_)) report.pages_by_copy += family.pages;
  }
  left_ = snapshot_.End();
  report.memory_written += absl::Now() - begun;
  report.memory_read = report.memory_written;
  run_.log.Info(absl::StrCat("Saved ", report.pages_by_copy, " pages from copies in ",
                             absl::ToInt64Microseconds(absl::Now() - begun), " us"));
  return absl::OkStatus();
}

}  // namespace dumpctl
