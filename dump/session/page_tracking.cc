#include "dump/session/page_tracking.h"

#include <fcntl.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "dump/mm/page_split.h"
#include "dump/tracee/remote_syscalls.h"
#include "dumpctl/failure.h"
#include "dumpctl/kernel_abi.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

absl::Status CannotTrack() {
  return MakeFailure(Failure::kHost, absl::StatusCode::kFailedPrecondition,
                     "this kernel cannot track what is written to memory: use Linux 6.9 or newer "
                     "with CONFIG_USERFAULTFD, or dump without --track-mem");
}

absl::Status TrackedByAnother(pid_t pid) {
  return MakeFailure(
      Failure::kRefused, absl::StatusCode::kUnimplemented,
      absl::StrCat("refused, with all put back: writes of process ", pid,
                   " are tracked for a dump of another tree that it is part of; end that "
                   "(dumpctl untrack -t PID with the other tree's root), or dump that tree"));
}

std::vector<PageRun> RunsOf(const SavedPagemap& pagemap) {
  std::vector<PageRun> runs;
  for (const SavedPages& saved : pagemap.runs) runs.push_back({saved.start, saved.pages});
  return runs;
}

}  // namespace

absl::StatusOr<PageTracking> PageTracking::Prepare(const DumpOptions& options,
                                                   const KernelFeatures& features) {
  PageTracking tracking(features);
  if (!options.prev_images_dir.empty()) {
    ASSIGN_OR_RETURN(tracking.parent_,
                     ParentImages::Open(options.images_dir, options.prev_images_dir));
  }
  // Who is to be killed writes nothing afterwards.
  if (!options.track_mem || options.outcome == Outcome::kKilled) return tracking;
  if (!features.Has(KernelFeature::kWriteWatch)) return CannotTrack();
  ASSIGN_OR_RETURN(tracking.holder_, TrackingHolder::Start());
  return tracking;
}

PageTracking::~PageTracking() {
  for (Watched& each : watched_) {
    const auto task = ProcDir::OpenTask(each.pid);
    if (task.ok()) each.watch.End(*task);
  }
}

absl::Status PageTracking::ReadParent(std::span<const Target> targets) {
  if (!parent_) return absl::OkStatus();
  for (const Target& target : targets) {
    ASSIGN_OR_RETURN(const std::optional<SavedPagemap> pagemap,
                     parent_->Pagemap(ImageKind::kPagemap, static_cast<uint32_t>(target.pid)));
    if (pagemap) saved_.emplace(target.pid, RunsOf(*pagemap));
  }
  return absl::OkStatus();
}

absl::StatusOr<WriteWatch> PageTracking::WatchOf(const FrozenTask& task, TrackedTree& taken) const {
  ASSIGN_OR_RETURN(const UniqueFd pidfd, task.OpenPidfd());
  ASSIGN_OR_RETURN(const uint64_t identity, IdentityOf(BorrowedFd(pidfd)));
  for (WatchedTask& known : taken.tasks) {
    if (known.pid != task.pid() || known.identity != identity || !known.watch) continue;
    WriteWatch watch = WriteWatch::Adopt(std::move(known.watch));
    if (watch.IsAlive()) return watch;
  }
  ASSIGN_OR_RETURN(RemoteSyscalls calls, RemoteSyscalls::Create(task));
  ASSIGN_OR_RETURN(
      UniqueFd made,
      calls.OpenAside(SYS_userfaultfd, {O_CLOEXEC | O_NONBLOCK | abi::kUffdUserModeOnly, 0}));
  RETURN_IF_ERROR(calls.Close());
  return WriteWatch::Create(std::move(made));
}

absl::Status PageTracking::Watch(const FrozenTree& tree, const Target& root) {
  if (!holder_ && !parent_) return absl::OkStatus();
  ASSIGN_OR_RETURN(std::optional<TrackedTree> found,
                   holder_ ? TakeFromHolder(root) : AskHolder(root));
  TrackedTree taken;
  if (found) taken = *std::move(found);
  if (parent_ && !taken.run_id.empty() && taken.run_id == parent_->run_id()) {
    for (const WatchedTask& task : taken.tasks) {
      since_parent_.push_back({.pid = task.pid, .identity = task.identity});
    }
  }
  if (!holder_) return absl::OkStatus();
  for (const FrozenTask& task : tree.tasks()) {
    ASSIGN_OR_RETURN(WriteWatch watch, WatchOf(task, taken));
    ASSIGN_OR_RETURN(UniqueFd pidfd, task.OpenPidfd());
    ASSIGN_OR_RETURN(const uint64_t identity, IdentityOf(BorrowedFd(pidfd)));
    watched_.push_back({task.pid(), identity, std::move(pidfd), std::move(watch)});
    const absl::Status added = watched_.back().watch.AddAll(task.dir(), features_);
    if (absl::IsUnavailable(added)) return TrackedByAnother(task.pid());
    RETURN_IF_ERROR(added);
  }
  return absl::OkStatus();
}

bool PageTracking::IsTrusted(pid_t pid, uint64_t identity) const {
  const auto is_it = [&](const WatchedTask& task) {
    return task.pid == pid && task.identity == identity;
  };
  return std::any_of(since_parent_.begin(), since_parent_.end(), is_it);
}

absl::Status PageTracking::Split(const FrozenTask& task, const VmaList& vmas, ScannedPages& pages) {
  if (!holder_ && !parent_) return absl::OkStatus();
  ASSIGN_OR_RETURN(const UniqueFd pidfd, task.OpenPidfd());
  ASSIGN_OR_RETURN(const uint64_t identity, IdentityOf(BorrowedFd(pidfd)));
  const auto saved = saved_.find(task.pid());
  const bool trusted = saved != saved_.end() && IsTrusted(task.pid(), identity);
  if (!trusted && !holder_) return absl::OkStatus();
  ASSIGN_OR_RETURN(std::vector<AddressRange> dirty,
                   FindDirty(task.dir(), vmas, features_, holder_.has_value()));
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

absl::Status PageTracking::Keep(const Target& root, const std::string& run_id) {
  if (!holder_) return absl::OkStatus();
  TrackedTree tree{.run_id = run_id};
  std::vector<BorrowedFd> pidfds;
  for (const Watched& each : watched_) {
    UniqueFd copy(fcntl(each.watch.fd().get(), F_DUPFD_CLOEXEC, 0));
    if (!copy) return absl::ErrnoToStatus(errno, "a copy of a userfaultfd");
    tree.tasks.push_back({each.pid, each.identity, std::move(copy)});
    pidfds.emplace_back(each.pidfd);
  }
  RETURN_IF_ERROR(holder_->Keep(root, tree, pidfds));
  // Ours are closed without an end: the holder's go on.
  watched_.clear();
  return absl::OkStatus();
}

absl::StatusOr<bool> EndTracking(const Target& root) {
  ASSIGN_OR_RETURN(std::optional<TrackedTree> taken, TakeFromHolder(root));
  if (!taken) return false;
  for (WatchedTask& task : taken->tasks) {
    const auto dir = ProcDir::OpenTask(task.pid);
    if (dir.ok()) WriteWatch::Adopt(std::move(task.watch)).End(*dir);
  }
  return true;
}

}  // namespace dumpctl
