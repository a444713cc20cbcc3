#include "dump/session/pre_dump.h"

#include <algorithm>
#include <cerrno>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "dump/image/page_hole.h"
#include "dump/image/page_sink.h"
#include "dump/mm/memory_source.h"
#include "dump/mm/page_drainer.h"
#include "dump/mm/page_scanner.h"
#include "dump/session/aio_rings.h"
#include "dump/session/cgroup_freezer.h"
#include "dump/session/collect_phases.h"
#include "dump/session/destination.h"
#include "dump/session/dump_ending.h"
#include "dump/session/dump_run.h"
#include "dump/session/fault_points.h"
#include "dump/session/frozen_facts.h"
#include "dump/session/heap.h"
#include "dump/session/kinship.h"
#include "dump/session/page_tracking.h"
#include "dump/session/preflight.h"
#include "dump/session/run_setup.h"
#include "dump/session/target.h"
#include "dump/session/trace_file.h"
#include "dump/session/tree_images.h"
#include "dump/session/tree_mappings.h"
#include "dumpctl/printable.h"
#include "dumpctl/status_macros.h"
#include "dumpctl/trace.h"

namespace dumpctl {
namespace {

// One task's memory, and which of it.
struct TaskPages {
  pid_t pid = 0;
  ScannedPages pages;
  LivingTaskMemory memory;
};

// What could not be read is gone, or nobody can who does not trace the task: zeros stand in its
// place, on which no later dump is to count. None does on holes (StandingPagesOf). False: the file
// system makes none.
absl::StatusOr<bool> LeaveHoles(std::span<const PageRun> runs, std::span<const PageRun> missed,
                                const PageSink& sink) {
  uint64_t offset = sink.offset() - BytesOf(runs);
  auto next = missed.begin();
  for (const PageRun& run : runs) {
    while (next != missed.end() && next->end() <= run.start) ++next;
    for (auto miss = next; miss != missed.end() && miss->start < run.end(); ++miss) {
      const RemoteAddress start = std::max(run.start, miss->start);
      const uint64_t bytes = std::min(run.end(), miss->end()) - start;
      const int freed = PunchHole(sink.file(), offset + (start - run.start), bytes);
      if (freed < 0 && (errno == EOPNOTSUPP || errno == ENOSYS)) return false;
      if (freed < 0) return absl::ErrnoToStatus(errno, "freeing pages that could not be read");
    }
    offset += run.bytes();
  }
  return true;
}

// The phases of one pre-dump, in the order in which they run.
class PreDumpSession {
 public:
  PreDumpSession(const DumpOptions& options, Log& log, FaultPoints faults, KernelFeatures features,
                 PageTracking tracking, std::vector<Target> targets)
      : run_{options, log, std::move(faults)},
        features_(features),
        tracking_(std::move(tracking)),
        targets_(std::move(targets)),
        kinship_(KinshipOf(targets_)) {}

  absl::StatusOr<DumpReport> Run() {
    const absl::Status status = RunPhases();
    standing_.reset();
    if (!status.ok()) return ExplainByDeath(status, std::span(targets_).first(1));
    run_.report.total = absl::Now() - begun_;
    return std::move(run_.report);
  }

  TraceSubject traced() const { return {root().pid, root().stat.comm}; }
  bool froze() const { return froze_; }

 private:
  absl::Status RunPhases() {
    ASSIGN_OR_RETURN(Preflight preflight, LookOver());
    const std::vector<pid_t> pids = PidsOf(targets_);
    ASSIGN_OR_RETURN(Destination destination, Destination::Open(run_, tracking_.parent(), pids));
    tracking_.SendTo(destination.KnownToServer(pids));
    ASSIGN_OR_RETURN(const std::string run_id, NewRunId());
    ASSIGN_OR_RETURN(std::vector<TaskPages> tasks, LookInto(preflight));
    RETURN_IF_ERROR(Save(tasks, run_id, destination));
    RETURN_IF_ERROR(destination.Commit(run_id));
    return Finish(run_id, tasks.size());
  }

  absl::StatusOr<Preflight> LookOver() {
    const TraceSpan span(TraceKind::kPhase, "preflight");
    RETURN_IF_ERROR(run_.Begin("preflight"));
    ASSIGN_OR_RETURN(Preflight preflight, RunPreflight(run_.options, targets_, features_));
    if (!preflight.blockers.empty()) return RefusedStatus(preflight.blockers, false);
    RETURN_IF_ERROR(tracking_.ReadParent(targets_));
    return preflight;
  }

  // What is done while the tree stands.
  absl::StatusOr<std::vector<TaskPages>> LookInto(Preflight& preflight) {
    const absl::Time since = absl::Now();
    froze_ = true;
    standing_.emplace(TraceKind::kFrozen, "frozen");
    TraceSpan freeze(TraceKind::kPhase, "freeze");
    RETURN_IF_ERROR(run_.Begin("freeze"));
    CgroupFreezer freezer(run_.options.cgroups.freeze_cgroup);
    const absl::Time deadline = since + run_.options.timeout;
    RETURN_IF_ERROR(freezer.Freeze(deadline, run_.options.may_go_on));
    std::function<absl::Status()> thaw;
    if (freezer.active()) thaw = [&freezer] { return freezer.Thaw(); };
    KnownTree known;
    known.dirs.emplace(root().pid, root().dir);
    ASSIGN_OR_RETURN(FrozenTree tree,
                     FrozenTree::Freeze(root().pid, deadline, run_.options.may_go_on, thaw, known));
    const absl::Cleanup put_back = [&freezer] { freezer.PutBack().IgnoreError(); };
    run_.report.freezing = absl::Now() - since;
    freeze.End();
    TraceSpan track(TraceKind::kPhase, "track");
    RETURN_IF_ERROR(run_.Begin("track"));
    for (const FrozenTask& task : tree.tasks()) RETURN_IF_ERROR(CheckMayRunCalls(task));
    RETURN_IF_ERROR(tracking_.Watch(tree, root()));
    track.End();
    TraceSpan holdings(TraceKind::kPhase, "holdings");
    RETURN_IF_ERROR(run_.Begin("holdings"));
    std::vector<TaskPages> tasks;
    const bool all_known = AreTargets(tree);
    for (const FrozenTask& task : tree.tasks()) {
      ASSIGN_OR_RETURN(TaskPages found, LookIntoTask(task, all_known, preflight));
      tasks.push_back(std::move(found));
      run_.report.threads += task.threads().size();
    }
    RETURN_IF_ERROR(tracking_.ClearBits(tree));
    holdings.End();
    TraceSpan resume(TraceKind::kPhase, "resume");
    RETURN_IF_ERROR(run_.Begin("resume"));
    RETURN_IF_ERROR(freezer.PutBack());
    RETURN_IF_ERROR(tree.Resume());
    resume.End();
    standing_.reset();
    run_.report.frozen = absl::Now() - since;
    run_.log.Info(
        absl::StrCat("Released after ", absl::ToInt64Microseconds(run_.report.frozen), " us"));
    return tasks;
  }

  // Whether those that were looked over stand, and no others.
  bool AreTargets(const FrozenTree& tree) const {
    std::set<pid_t> pids;
    for (const Target& target : targets_) pids.insert(target.pid);
    for (const FrozenTask& task : tree.tasks()) {
      if (pids.erase(task.pid()) == 0) return false;
    }
    return pids.empty();
  }

  absl::StatusOr<TaskPages> LookIntoTask(const FrozenTask& task, bool all_known,
                                         Preflight& preflight) {
    const TraceSpan span(TraceKind::kTask, "pages", {{"pid", task.pid()}});
    ASSIGN_OR_RETURN(const VmaList vmas, ReadMappings(task, preflight));
    RETURN_IF_ERROR(SettleAio(task.pid(), vmas, preflight));
    ASSIGN_OR_RETURN(ScannedPages pages, ScanPages(task.dir(), vmas, features_));
    RETURN_IF_ERROR(tracking_.Split(task, vmas, pages));
    ASSIGN_OR_RETURN(
        LivingTaskMemory memory,
        LivingTaskMemory::Open(task.pid(), task.dir(), kinship_.MayShare(task.pid(), all_known)));
    run_.report.vmas += vmas.size();
    AddPages(pages, run_.report);
    return TaskPages{task.pid(), std::move(pages), std::move(memory)};
  }

  // What a request under way still puts into memory, past its page tables, nobody could track.
  static absl::Status SettleAio(pid_t pid, const VmaList& vmas, const Preflight& preflight) {
    if (!HasAioRings(vmas)) return absl::OkStatus();
    if (!preflight.aio_contexts) return RefusedStatus(RefuseUntoldRings(pid, vmas), true);
    ASSIGN_OR_RETURN(const ResourceRefusals refused,
                     SettleAioRings(pid, vmas, *preflight.aio_contexts));
    return refused.empty() ? absl::OkStatus() : RefusedStatus(refused, true);
  }

  absl::Status Save(const std::vector<TaskPages>& tasks, const std::string& run_id,
                    Destination& destination) {
    TraceSpan memory(TraceKind::kPhase, "memory", {{"pages", run_.report.pages_written}});
    RETURN_IF_ERROR(run_.Begin("memory"));
    const absl::Time begun = absl::Now();
    uint64_t done = 0;
    const uint64_t total = run_.report.pages_written * kImagePageSize;
    std::vector<ImageWriter> images;
    RETURN_IF_ERROR(destination.OpenSinks(tasks.size()));
    for (size_t i = 0; i < tasks.size(); ++i) {
      const TaskPages& task = tasks[i];
      PageSink& sink = destination.sinks()[i];
      const auto pid = static_cast<uint32_t>(task.pid);
      sink.BelongTo({ImageKind::kPagemap, pid});
      for (const PageRun& run : task.pages.in_parent) sink.AccountInParent(run.start, run.pages);
      const absl::Status drained =
          DrainPages(task.memory, task.pages.runs, sink, [&](uint64_t part, uint64_t) {
            if (run_.options.progress) run_.options.progress(done + part, total);
            return run_.options.may_go_on ? run_.options.may_go_on() : absl::OkStatus();
          });
      done += task.pages.pages * kImagePageSize;
      if (absl::IsNotFound(drained) && task.pid != root().pid && sink.stream() == nullptr) {
        // Without a pagemap nothing is left to these images by who has that pid in the end.
        run_.log.Info(
            absl::StrCat("Process ", task.pid, " has ended, or runs another program now"));
        continue;
      }
      RETURN_IF_ERROR(drained);
      const std::vector<PageRun> missed = task.memory.Missed();
      if (!sink.keeps_pagemap()) {
        tracking_.LeaveOut(task.pid, missed);
        run_.report.pages_written -= PagesOf(missed);
        continue;
      }
      ASSIGN_OR_RETURN(const bool told, LeaveHoles(task.pages.runs, missed, sink));
      if (!told) continue;
      ASSIGN_OR_RETURN(ImageWriter pagemap, sink.Pagemap(ImageKind::kPagemap, pid));
      images.push_back(std::move(pagemap));
    }
    run_.report.memory_read = run_.report.memory_written = absl::Now() - begun;
    memory.End();
    const TraceSpan serialise(TraceKind::kPhase, "serialise");
    RETURN_IF_ERROR(run_.Begin("serialise"));
    ASSIGN_OR_RETURN(ImageWriter inventory, PreDumpInventory(run_id));
    images.push_back(std::move(inventory));
    run_.report.bytes_written = run_.report.pages_written * kImagePageSize;
    for (const ImageWriter& image : images) {
      RETURN_IF_ERROR(destination.images().Write(image));
      run_.report.bytes_written += image.bytes().size();
    }
    return absl::OkStatus();
  }

  // The images stand.
  absl::Status Finish(const std::string& run_id, size_t tasks) {
    const TraceSpan span(TraceKind::kPhase, "finish");
    KeepTracking(run_, tracking_, root(), run_id);
    DumpReport& report = run_.report;
    report.pid = root().pid;
    report.comm = root().stat.comm;
    report.images_dir = run_.options.images_dir;
    report.outcome = Outcome::kRunning;
    report.died = IsDead(root());
    report.tasks = tasks;
    return WriteStatistics(run_);
  }

  const Target& root() const { return targets_.front(); }

  DumpRun run_;
  KernelFeatures features_;
  PageTracking tracking_;
  std::vector<Target> targets_;
  const Kinship kinship_;
  absl::Time begun_ = absl::Now();
  bool froze_ = false;
  std::optional<TraceSpan> standing_;  // the tree
};

}  // namespace

absl::StatusOr<DumpReport> PreDump(const DumpOptions& options, Log& log) {
  std::optional<DumpTrace> trace;
  if (!options.trace.empty()) trace.emplace();
  TraceSpan looking(TraceKind::kPhase, "look for the tree");
  ASSIGN_OR_RETURN(FaultPoints faults, FaultPoints::Parse(options.fault));
  ASSIGN_OR_RETURN(const KernelFeatures features, KernelFeatures::Probe(options.kernel_features));
  RaiseOpenFileLimit();
  ASSIGN_OR_RETURN(PageTracking tracking, PageTracking::Prepare(options, features));
  constexpr size_t kSmallDump = 1 << 20;
  ReserveHeap(kSmallDump);
  ASSIGN_OR_RETURN(std::vector<Target> targets, FindTree(options.pid));
  looking.End();
  PreDumpSession session(options, log, std::move(faults), features, std::move(tracking),
                         std::move(targets));
  absl::StatusOr<DumpReport> report = session.Run();
  if (trace && session.froze()) {
    LeaveTrace(*trace, options.trace, session.traced(), report.status(), log);
  }
  return report;
}

absl::StatusOr<bool> Untrack(pid_t pid) {
  ASSIGN_OR_RETURN(const KernelFeatures features, KernelFeatures::Probe());
  ASSIGN_OR_RETURN(const std::vector<Target> targets, FindTree(pid));
  return EndTracking(targets.front(), features);
}

}  // namespace dumpctl
