#include "dump/session/page_tracking.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "dump/mm/page_split.h"
#include "dump/mm/shared_pages.h"
#include "dump/session/kept_runs.h"
#include "dump/session/task_claim.h"
#include "dump/tracee/remote_syscalls.h"
#include "dumpctl/failure.h"
#include "dumpctl/status_macros.h"
#include "proc/stat_parser.h"

namespace dumpctl {
namespace {

absl::Status CannotTrack() {
  return MakeFailure(Failure::kHost, absl::StatusCode::kFailedPrecondition,
                     "this kernel cannot track what is written to memory: use Linux 6.9 or newer "
                     "with CONFIG_USERFAULTFD, or CONFIG_MEM_SOFT_DIRTY and CAP_SYS_ADMIN, or dump "
                     "all at once (no pre-dump, nor --track-mem)");
}

absl::Status TrackedByAnother(pid_t pid) {
  return MakeFailure(
      Failure::kRefused, absl::StatusCode::kUnimplemented,
      absl::StrCat("refused, with all put back: writes of process ", pid,
                   " are tracked for a dump of another tree that it is part of, or watched by one "
                   "that is under way; end that (dumpctl untrack -t PID with the other tree's "
                   "root), dump that tree, or wait"));
}

// All of a task that has content.
std::vector<PageRun> RunsOf(const ScannedPages& pages) {
  std::vector<PageRun> runs(pages.runs.size() + pages.in_parent.size());
  std::merge(pages.runs.begin(), pages.runs.end(), pages.in_parent.begin(), pages.in_parent.end(),
             runs.begin(), [](const PageRun& a, const PageRun& b) { return a.start < b.start; });
  return runs;
}

}  // namespace

absl::StatusOr<PageTracking> PageTracking::Prepare(const DumpOptions& options,
                                                   const KernelFeatures& features) {
  PageTracking tracking(features, options.track_mem || !options.prev_images_dir.empty());
  // Told early where it is needed in the freeze.
  if (!features.Has(KernelFeature::kPagemapScan) || tracking.way_ == TrackingWay::kSoftDirty) {
    FindZeroFrames();
  }
  if (!options.prev_images_dir.empty()) {
    ASSIGN_OR_RETURN(tracking.parent_,
                     ParentImages::Open(options.images_dir, options.prev_images_dir));
  }
  // Who is to be killed writes nothing afterwards.
  if (!options.track_mem || options.outcome == Outcome::kKilled) return tracking;
  if (tracking.way_ == TrackingWay::kSoftDirty && !features.Has(KernelFeature::kSoftDirty)) {
    return CannotTrack();
  }
  ASSIGN_OR_RETURN(tracking.holder_, TrackingHolder::Start());
  return tracking;
}

PageTracking::~PageTracking() {
  for (Watched& each : watched_) {
    const auto task = ProcDir::OpenTask(each.pid);
    if (task.ok() && each.watch) each.watch->End(*task, features_);
  }
}

absl::Status PageTracking::ReadParent(std::span<const Target> targets) {
  if (!parent_) return absl::OkStatus();
  for (const Target& target : targets) {
    ASSIGN_OR_RETURN(std::optional<StandingPages> pages,
                     parent_->Pages(ImageKind::kPagemap, static_cast<uint32_t>(target.pid)));
    if (pages) saved_.emplace(target.pid, std::move(pages->runs));
  }
  return absl::OkStatus();
}

// The inodes of pidfds are all the same before Linux 6.9.
absl::StatusOr<uint64_t> PageTracking::Identify(const FrozenTask& task, BorrowedFd pidfd) const {
  if (way_ == TrackingWay::kWriteWatch) return IdentityOf(pidfd);
  ASSIGN_OR_RETURN(const std::string text, task.dir().ReadWhole("stat"));
  ASSIGN_OR_RETURN(const TaskStat stat, ParseStat(text));
  return stat.start_time;
}

void PageTracking::Trust(const TrackedTree& found) {
  const bool since_parent = parent_ && !found.run_id.empty() && found.run_id == parent_->run_id();
  if (!since_parent || found.way != way_) return;
  for (const WatchedTask& task : found.tasks) {
    Trusted trusted{.pid = task.pid, .identity = task.identity};
    if (way_ == TrackingWay::kSoftDirty) {
      absl::StatusOr<SoftDirtyRecord> record = SoftDirtyRecord::Read(BorrowedFd(task.watch));
      if (!record.ok()) continue;
      trusted.record = *std::move(record);
    }
    since_parent_.push_back(std::move(trusted));
  }
}

absl::StatusOr<WriteWatch> PageTracking::WatchOf(const FrozenTask& task, TrackedTree& taken) const {
  ASSIGN_OR_RETURN(const UniqueFd pidfd, task.OpenPidfd());
  ASSIGN_OR_RETURN(const uint64_t identity, IdentityOf(BorrowedFd(pidfd)));
  for (WatchedTask& known : taken.tasks) {
    if (known.pid != task.pid() || known.identity != identity || !known.watch) continue;
    if (taken.way != TrackingWay::kWriteWatch) continue;
    WriteWatch watch = WriteWatch::Adopt(std::move(known.watch));
    if (watch.IsAlive()) return watch;
  }
  ASSIGN_OR_RETURN(RemoteSyscalls calls, RemoteSyscalls::Create(task));
  absl::StatusOr<WriteWatch> watch = WriteWatch::CreateIn(calls);
  if (watch.ok()) RETURN_IF_ERROR(calls.Close());
  return watch;
}

absl::StatusOr<UniqueFd> PageTracking::ClaimOf(const Watched& task, TrackedTree& taken) const {
  for (WatchedTask& known : taken.tasks) {
    if (known.pid == task.pid && known.identity == task.identity && known.claim) {
      return std::move(known.claim);
    }
  }
  absl::StatusOr<UniqueFd> claim = ClaimTask(task.pid, task.identity);
  if (absl::IsUnavailable(claim.status())) return TrackedByAnother(task.pid);
  return claim;
}

absl::StatusOr<PageTracking::Watched> PageTracking::BeginToWatch(const FrozenTask& task,
                                                                 TrackedTree& taken) const {
  Watched watched{.pid = task.pid()};
  ASSIGN_OR_RETURN(watched.pidfd, task.OpenPidfd());
  ASSIGN_OR_RETURN(watched.identity, Identify(task, BorrowedFd(watched.pidfd)));
  if (way_ == TrackingWay::kSoftDirty) {
    ASSIGN_OR_RETURN(watched.claim, ClaimOf(watched, taken));
    ASSIGN_OR_RETURN(watched.clear_refs, task.dir().Open("clear_refs", O_WRONLY));
    return watched;
  }
  ASSIGN_OR_RETURN(watched.watch, WatchOf(task, taken));
  return watched;
}

absl::Status PageTracking::Watch(const FrozenTree& tree, const Target& root) {
  if (!holder_ && !parent_) return absl::OkStatus();
  ASSIGN_OR_RETURN(std::optional<TrackedTree> found,
                   holder_ ? TakeFromHolder(root) : AskHolder(root));
  TrackedTree taken;
  if (found) taken = *std::move(found);
  Trust(taken);
  if (!since_parent_.empty()) RETURN_IF_ERROR(LearnSent(taken));
  if (!holder_) return absl::OkStatus();
  for (const FrozenTask& task : tree.tasks()) {
    ASSIGN_OR_RETURN(Watched watched, BeginToWatch(task, taken));
    watched_.push_back(std::move(watched));
    if (!watched_.back().watch) continue;
    const absl::Status added = watched_.back().watch->AddAll(task.dir(), features_);
    if (absl::IsUnavailable(added)) return TrackedByAnother(task.pid());
    RETURN_IF_ERROR(added);
  }
  return absl::OkStatus();
}

absl::Status PageTracking::LearnSent(const TrackedTree& taken) {
  if (!known_to_server_) return absl::OkStatus();
  for (const WatchedTask& task : taken.tasks) {
    // Previous images that were written here, and taken there since.
    if (!task.sent || saved_.contains(task.pid)) continue;
    ASSIGN_OR_RETURN(std::vector<PageRun> sent, ReadRuns(BorrowedFd(task.sent)));
    saved_.emplace(task.pid, std::move(sent));
  }
  std::erase_if(saved_,
                [this](const auto& saved) { return !known_to_server_->contains(saved.first); });
  return absl::OkStatus();
}

const PageTracking::Trusted* PageTracking::FindTrusted(pid_t pid, uint64_t identity) const {
  const auto it = std::find_if(
      since_parent_.begin(), since_parent_.end(),
      [&](const Trusted& task) { return task.pid == pid && task.identity == identity; });
  return it == since_parent_.end() ? nullptr : &*it;
}

PageTracking::Watched* PageTracking::FindWatched(pid_t pid) {
  const auto it = std::find_if(watched_.begin(), watched_.end(),
                               [pid](const Watched& task) { return task.pid == pid; });
  return it == watched_.end() ? nullptr : &*it;
}

absl::StatusOr<std::vector<AddressRange>> PageTracking::FindChanged(const FrozenTask& task,
                                                                    const VmaList& vmas,
                                                                    const ScannedPages& pages,
                                                                    const Trusted* trusted) {
  if (way_ == TrackingWay::kWriteWatch) {
    return FindDirty(task.dir(), vmas, features_, holder_.has_value());
  }
  Watched* const watched = FindWatched(task.pid());
  return FindSoftDirty(task.dir(), vmas, pages.runs, features_,
                       trusted ? &trusted->record : nullptr, watched ? &watched->record : nullptr);
}

absl::Status PageTracking::Split(const FrozenTask& task, const VmaList& vmas, ScannedPages& pages) {
  if (!holder_ && !parent_) return absl::OkStatus();
  ASSIGN_OR_RETURN(const UniqueFd pidfd, task.OpenPidfd());
  ASSIGN_OR_RETURN(const uint64_t identity, Identify(task, BorrowedFd(pidfd)));
  const auto saved = saved_.find(task.pid());
  const Trusted* const trusted =
      saved != saved_.end() ? FindTrusted(task.pid(), identity) : nullptr;
  if (!trusted && !holder_) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::vector<AddressRange> dirty, FindChanged(task, vmas, pages, trusted));
  const absl::Cleanup remember = [&] {
    if (known_to_server_ && holder_) sent_[task.pid()] = RunsOf(pages);
  };
  if (!trusted) return absl::OkStatus();
  SplitPages split = SplitByParent(pages.runs, dirty, saved->second);
  for (const PageRun& run : split.in_parent) {
    pages.pages -= run.pages;
    pages.pages_in_parent += run.pages;
  }
  pages.runs = std::move(split.written);
  pages.in_parent = std::move(split.in_parent);
  return absl::OkStatus();
}

void PageTracking::LeaveOut(pid_t pid, std::span<const PageRun> missed) {
  const auto sent = sent_.find(pid);
  if (sent != sent_.end()) sent->second = RunsWithout(sent->second, missed);
}

absl::Status PageTracking::ClearBits(const FrozenTree& tree) {
  if (!holder_ || way_ != TrackingWay::kSoftDirty) return absl::OkStatus();
  for (const FrozenTask& task : tree.tasks()) {
    Watched* const watched = FindWatched(task.pid());
    if (watched == nullptr) continue;
    RETURN_IF_ERROR(
        ClearSoftDirty(task.dir(), BorrowedFd(watched->clear_refs), features_, watched->record));
    watched->clear_refs.Reset();
  }
  return absl::OkStatus();
}

absl::Status PageTracking::Keep(const Target& root, const std::string& run_id) {
  if (!holder_) return absl::OkStatus();
  TrackedTree tree{.run_id = run_id, .way = way_};
  std::vector<BorrowedFd> pidfds;
  for (Watched& each : watched_) {
    UniqueFd kept;
    if (each.watch) {
      kept.Reset(fcntl(each.watch->fd().get(), F_DUPFD_CLOEXEC, 0));
      if (!kept) return absl::ErrnoToStatus(errno, "a copy of a userfaultfd");
    } else {
      ASSIGN_OR_RETURN(kept, each.record.Write());
    }
    UniqueFd sent;
    if (const auto runs = sent_.find(each.pid); runs != sent_.end()) {
      ASSIGN_OR_RETURN(sent, KeepRuns(runs->second));
    }
    WatchedTask task{each.pid, each.identity, std::move(kept), std::move(sent)};
    task.claim = std::move(each.claim);
    tree.tasks.push_back(std::move(task));
    pidfds.emplace_back(each.pidfd);
  }
  RETURN_IF_ERROR(holder_->Keep(root, tree, pidfds));
  // Ours are closed without an end: the holder's go on.
  watched_.clear();
  return absl::OkStatus();
}

absl::StatusOr<bool> EndTracking(const Target& root, const KernelFeatures& features) {
  ASSIGN_OR_RETURN(std::optional<TrackedTree> taken, TakeFromHolder(root));
  if (!taken) return false;
  // Soft-dirty bits are the kernel's own: nothing is left of them.
  if (taken->way == TrackingWay::kSoftDirty) return true;
  for (WatchedTask& task : taken->tasks) {
    const auto dir = ProcDir::OpenTask(task.pid);
    if (dir.ok()) WriteWatch::Adopt(std::move(task.watch)).End(*dir, features);
  }
  return true;
}

}  // namespace dumpctl
