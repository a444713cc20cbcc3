#include "dump/session/pre_dump.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "dump/image/dedup.h"
#include "dump/image/image_directory.h"
#include "dump/image/page_sink.h"
#include "dump/mm/memory_source.h"
#include "dump/mm/page_drainer.h"
#include "dump/mm/page_scanner.h"
#include "dump/session/aio_rings.h"
#include "dump/session/cgroup_freezer.h"
#include "dump/session/fault_points.h"
#include "dump/session/frozen_facts.h"
#include "dump/session/heap.h"
#include "dump/session/page_tracking.h"
#include "dump/session/preflight.h"
#include "dump/session/run_setup.h"
#include "dump/session/target.h"
#include "dump/session/tree_images.h"
#include "dumpctl/printable.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

// One task's memory, and which of it.
struct TaskPages {
  pid_t pid = 0;
  ScannedPages pages;
  LivingTaskMemory memory;
};

// The phases of one pre-dump, in the order in which they run.
class PreDumpSession {
 public:
  PreDumpSession(const DumpOptions& options, Log& log, FaultPoints faults, KernelFeatures features,
                 PageTracking tracking, std::vector<Target> targets)
      : options_(options),
        log_(log),
        faults_(std::move(faults)),
        features_(features),
        tracking_(std::move(tracking)),
        targets_(std::move(targets)) {}

  absl::StatusOr<DumpReport> Run() {
    const absl::Status status = RunPhases();
    if (!status.ok()) return ExplainByDeath(status, std::span(targets_).first(1));
    report_.total = absl::Now() - begun_;
    return std::move(report_);
  }

 private:
  absl::Status RunPhases() {
    RETURN_IF_ERROR(Begin("preflight"));
    ASSIGN_OR_RETURN(Preflight preflight, RunPreflight(options_, targets_, features_));
    if (!preflight.blockers.empty()) return RefusedStatus(preflight.blockers, false);
    RETURN_IF_ERROR(tracking_.ReadParent(targets_));
    RETURN_IF_ERROR(Begin("images"));
    ASSIGN_OR_RETURN(ImageDirectory directory, ImageDirectory::Open(options_.images_dir));
    if (tracking_.parent() != nullptr) {
      RETURN_IF_ERROR(directory.LinkParent(tracking_.parent()->path()));
    }
    RETURN_IF_ERROR(CheckWritable(kWorkDirectory, WorkDirectory()));
    ASSIGN_OR_RETURN(const std::string run_id, NewRunId());
    ASSIGN_OR_RETURN(std::vector<TaskPages> tasks, LookInto(preflight));
    RETURN_IF_ERROR(Save(tasks, run_id, directory));
    RETURN_IF_ERROR(Begin("commit"));
    RETURN_IF_ERROR(directory.Commit(false));
    return Finish(run_id, tasks.size());
  }

  absl::Status Begin(std::string_view step) const {
    RETURN_IF_ERROR(faults_.Reach(step));
    return options_.may_go_on ? options_.may_go_on() : absl::OkStatus();
  }

  // What is done while the tree stands.
  absl::StatusOr<std::vector<TaskPages>> LookInto(Preflight& preflight) {
    const absl::Time since = absl::Now();
    RETURN_IF_ERROR(Begin("freeze"));
    CgroupFreezer freezer(options_.cgroups.freeze_cgroup);
    const absl::Time deadline = since + options_.timeout;
    RETURN_IF_ERROR(freezer.Freeze(deadline, options_.may_go_on));
    std::function<absl::Status()> thaw;
    if (freezer.active()) thaw = [&freezer] { return freezer.Thaw(); };
    ASSIGN_OR_RETURN(FrozenTree tree,
                     FrozenTree::Freeze(root().pid, deadline, options_.may_go_on, thaw));
    const absl::Cleanup put_back = [&freezer] { freezer.PutBack().IgnoreError(); };
    report_.freezing = absl::Now() - since;
    RETURN_IF_ERROR(Begin("track"));
    for (const FrozenTask& task : tree.tasks()) RETURN_IF_ERROR(CheckMayRunCalls(task));
    RETURN_IF_ERROR(tracking_.Watch(tree, root()));
    RETURN_IF_ERROR(Begin("holdings"));
    std::vector<TaskPages> tasks;
    for (const FrozenTask& task : tree.tasks()) {
      ASSIGN_OR_RETURN(TaskPages found, LookIntoTask(task, preflight));
      tasks.push_back(std::move(found));
      report_.threads += task.threads().size();
    }
    RETURN_IF_ERROR(Begin("resume"));
    RETURN_IF_ERROR(freezer.PutBack());
    RETURN_IF_ERROR(tree.Resume());
    report_.frozen = absl::Now() - since;
    log_.Info(absl::StrCat("Released after ", absl::ToInt64Microseconds(report_.frozen), " us"));
    return tasks;
  }

  absl::StatusOr<TaskPages> LookIntoTask(const FrozenTask& task, Preflight& preflight) {
    ASSIGN_OR_RETURN(const VmaList vmas, ReadMappings(task, preflight));
    RETURN_IF_ERROR(SettleAio(task.pid(), vmas, preflight));
    ASSIGN_OR_RETURN(ScannedPages pages, ScanPages(task.dir(), vmas, features_));
    RETURN_IF_ERROR(tracking_.Split(task, vmas, pages));
    ASSIGN_OR_RETURN(LivingTaskMemory memory, LivingTaskMemory::Open(task.pid(), task.dir()));
    report_.vmas += vmas.size();
    report_.pages_scanned += pages.pages_scanned;
    report_.pages_written += pages.pages;
    report_.pages_in_parent += pages.pages_in_parent;
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
                    ImageDirectory& directory) {
    RETURN_IF_ERROR(Begin("memory"));
    const absl::Time begun = absl::Now();
    uint64_t done = 0;
    const uint64_t total = report_.pages_written * kImagePageSize;
    std::vector<ImageWriter> images;
    for (const TaskPages& task : tasks) {
      const auto id = static_cast<uint32_t>(images.size() + 1);
      ASSIGN_OR_RETURN(PageSink sink, directory.CreatePages(id));
      RETURN_IF_ERROR(DrainPages(task.memory, task.pages.runs, sink, [&](uint64_t part, uint64_t) {
        if (options_.progress) options_.progress(done + part, total);
        return options_.may_go_on ? options_.may_go_on() : absl::OkStatus();
      }));
      done += task.pages.pages * kImagePageSize;
      for (const PageRun& run : task.pages.in_parent) sink.AccountInParent(run.start, run.pages);
      ASSIGN_OR_RETURN(ImageWriter pagemap,
                       sink.Pagemap(ImageKind::kPagemap, static_cast<uint32_t>(task.pid)));
      images.push_back(std::move(pagemap));
    }
    report_.memory_read = report_.memory_written = absl::Now() - begun;
    RETURN_IF_ERROR(Begin("serialise"));
    ASSIGN_OR_RETURN(ImageWriter inventory, PreDumpInventory(run_id));
    images.push_back(std::move(inventory));
    report_.bytes_written = total;
    for (const ImageWriter& image : images) {
      RETURN_IF_ERROR(directory.Write(image));
      report_.bytes_written += image.bytes().size();
    }
    return absl::OkStatus();
  }

  // The images stand.
  absl::Status Finish(const std::string& run_id, size_t tasks) {
    const absl::Status kept = tracking_.Keep(root(), run_id);
    report_.tracked = kept.ok();
    if (!kept.ok()) {
      log_.Warn(absl::StrCat("Nothing is tracked for the next dump: ", kept.message()));
    }
    if (options_.auto_dedup && tracking_.parent() != nullptr) {
      const absl::StatusOr<DedupCounts> freed = DedupParents(options_.images_dir);
      if (!freed.ok()) {
        log_.Warn(absl::StrCat("Not all superseded pages are freed: ", freed.status().message()));
      }
    }
    report_.pid = root().pid;
    report_.comm = root().stat.comm;
    report_.images_dir = options_.images_dir;
    report_.outcome = Outcome::kRunning;
    report_.died = IsDead(root());
    report_.tasks = tasks;
    ASSIGN_OR_RETURN(const ImageWriter stats, StatsImage(report_));
    const absl::Status written =
        WriteInto(kWorkDirectory, WorkDirectory(), stats.name(), stats.bytes());
    if (!written.ok()) log_.Warn(absl::StrCat("No statistics: ", written.message()));
    return absl::OkStatus();
  }

  const Target& root() const { return targets_.front(); }
  const std::string& WorkDirectory() const {
    return options_.work_dir.empty() ? options_.images_dir : options_.work_dir;
  }

  const DumpOptions& options_;
  Log& log_;
  FaultPoints faults_;
  KernelFeatures features_;
  PageTracking tracking_;
  std::vector<Target> targets_;
  DumpReport report_;
  absl::Time begun_ = absl::Now();
};

}  // namespace

absl::StatusOr<DumpReport> PreDump(const DumpOptions& options, Log& log) {
  ASSIGN_OR_RETURN(FaultPoints faults, FaultPoints::Parse(options.fault));
  ASSIGN_OR_RETURN(const KernelFeatures features, KernelFeatures::Probe(options.kernel_features));
  RaiseOpenFileLimit();
  ASSIGN_OR_RETURN(PageTracking tracking, PageTracking::Prepare(options, features));
  constexpr size_t kSmallDump = 1 << 20;
  ReserveHeap(kSmallDump);
  ASSIGN_OR_RETURN(std::vector<Target> targets, FindTree(options.pid));
  return PreDumpSession(options, log, std::move(faults), features, std::move(tracking),
                        std::move(targets))
      .Run();
}

absl::StatusOr<bool> Untrack(pid_t pid) {
  ASSIGN_OR_RETURN(const std::vector<Target> targets, FindTree(pid));
  return EndTracking(targets.front());
}

}  // namespace dumpctl
