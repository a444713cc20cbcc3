#include "dump/tracee/frozen_tree.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "dumpctl/failure.h"
#include "dumpctl/status_macros.h"
#include "dumpctl/trace.h"
#include "proc/children_parser.h"

namespace dumpctl {
namespace {

absl::Status NoMainThread(pid_t pid) {
  return MakeFailure(Failure::kZombie, absl::StatusCode::kFailedPrecondition,
                     absl::StrCat("process ", pid,
                                  " has lost its main thread while others go on, which no image "
                                  "can hold; restart the program"));
}

// Of threads that stand: so their lists are whole as far as the children stay.
absl::StatusOr<std::vector<pid_t>> ChildrenOf(const ProcDir& task,
                                              const std::vector<pid_t>& threads) {
  std::vector<pid_t> children;
  for (const pid_t thread : threads) {
    ASSIGN_OR_RETURN(const std::string text, task.Read(absl::StrCat("task/", thread, "/children")));
    if (text.empty()) continue;
    ASSIGN_OR_RETURN(const std::vector<pid_t> found, ParseChildren(text));
    children.insert(children.end(), found.begin(), found.end());
  }
  return children;
}

// Whether no thread goes on, though the first one has ended. Of a process that is killed it may be
// the first to end.
absl::StatusOr<bool> HasEnded(const ProcDir& task) {
  const absl::Time until = absl::Now() + absl::Milliseconds(100);
  for (;; absl::SleepFor(absl::Milliseconds(1))) {
    ASSIGN_OR_RETURN(const std::vector<int> threads, ListNumbers(task, "task"));
    if (threads.size() <= 1) return true;
    if (absl::Now() >= until) return false;
  }
}

absl::StatusOr<std::vector<pid_t>> ChildrenOf(const FrozenTask& task) {
  std::vector<pid_t> threads;
  for (const FrozenThread& thread : task.threads()) {
    if (!thread.row || thread.row->has_children) threads.push_back(thread.tid);
  }
  return ChildrenOf(task.dir(), threads);
}

}  // namespace

absl::StatusOr<FrozenTree> FrozenTree::Freeze(pid_t root, absl::Time deadline,
                                              const std::function<absl::Status()>& may_go_on,
                                              const std::function<absl::Status()>& thaw,
                                              const KnownTree& known) {
  FrozenTree tree;
  std::vector<FrozenTask> fresh;
  ASSIGN_OR_RETURN(FrozenTask first, OpenRoot(root, known));
  fresh.push_back(std::move(first));
  tree.known_.insert(root);
  if (thaw) RETURN_IF_ERROR(tree.FindStanding(fresh, known));
  for (;;) {
    const size_t settled = tree.tasks_.size();
    const bool first_pass = settled == 0;
    RETURN_IF_ERROR(tree.Settle(std::move(fresh), deadline, may_go_on,
                                first_pass ? thaw : std::function<absl::Status()>()));
    if (tree.tasks_.empty()) return FrozenTask::Died(root);
    ASSIGN_OR_RETURN(fresh, tree.FindChildren(settled, known));
    // A dying process leaves its children to a subreaper among those that stand already; and a
    // child that dies may have hidden others. Once all stand there is nothing of the kind.
    if (fresh.empty() && settled > 0) {
      ASSIGN_OR_RETURN(fresh, tree.FindChildren(0, known));
    }
    if (fresh.empty()) break;
  }
  const TraceSpan span(TraceKind::kWork, "threads", {{"threads", tree.threads()}});
  for (FrozenTask& task : tree.tasks_) RETURN_IF_ERROR(task.ReadThreads());
  return tree;
}

absl::Status FrozenTree::Settle(std::vector<FrozenTask> fresh, absl::Time deadline,
                                const std::function<absl::Status()>& may_go_on,
                                const std::function<absl::Status()>& thaw) {
  const TraceSpan span(TraceKind::kWork, "stop", {{"tasks", fresh.size()}});
  const absl::Status stopped = FrozenTask::StopAll(fresh, deadline, may_go_on, thaw);
  if (!stopped.ok()) {
    tasks_.clear();  // they need not stand meanwhile
    FrozenTask::GiveUp(fresh);
    return stopped;
  }
  for (FrozenTask& task : fresh) {
    if (task.HoldsLeader()) {
      tasks_.push_back(std::move(task));
      continue;
    }
    const absl::StatusOr<bool> dead = TakeZombie(task);
    // Gone altogether: nobody had to wait for it, and somebody else may get its pid.
    if (absl::IsNotFound(dead.status())) {
      known_.erase(task.pid());
    } else {
      RETURN_IF_ERROR(dead.status());
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<FrozenTask> FrozenTree::OpenRoot(pid_t pid, const KnownTree& known) {
  const auto dir = known.dirs.find(pid);
  return dir == known.dirs.end() ? FrozenTask::Open(pid) : FrozenTask::OpenThis(pid, dir->second);
}

absl::StatusOr<FrozenTask> FrozenTree::Open(pid_t pid, const KnownTree& known) {
  const auto dir = known.dirs.find(pid);
  if (dir == known.dirs.end()) return FrozenTask::Open(pid);
  return FrozenTask::OpenBy(pid, dir->second);
}

absl::Status FrozenTree::FindStanding(std::vector<FrozenTask>& tasks, const KnownTree& known) {
  for (size_t i = 0; i < tasks.size(); ++i) {
    ASSIGN_OR_RETURN(const std::vector<int> threads, ListNumbers(tasks[i].dir(), "task"));
    ASSIGN_OR_RETURN(const std::vector<pid_t> children, ChildrenOf(tasks[i].dir(), threads));
    for (const pid_t pid : children) {
      absl::StatusOr<FrozenTask> child = Open(pid, known);
      if (absl::IsNotFound(child.status())) continue;
      RETURN_IF_ERROR(child.status());
      if (known_.insert(pid).second) tasks.push_back(*std::move(child));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<FrozenTask>> FrozenTree::FindChildren(size_t first,
                                                                 const KnownTree& known) {
  std::vector<FrozenTask> found;
  for (size_t i = first; i < tasks_.size(); ++i) {
    // Only its descendants could become its children, and it has none.
    if (i < childless_.size() && childless_[i]) continue;
    if (known.rows != nullptr) tasks_[i].TakeRows(*known.rows);
    ASSIGN_OR_RETURN(const std::vector<pid_t> children, ChildrenOf(tasks_[i]));
    childless_.resize(std::max(childless_.size(), i + 1));
    childless_[i] = children.empty();
    for (const pid_t pid : children) {
      if (known_.contains(pid)) continue;
      absl::StatusOr<FrozenTask> child = Open(pid, known);
      if (absl::IsNotFound(child.status())) continue;
      RETURN_IF_ERROR(child.status());
      known_.insert(pid);
      found.push_back(*std::move(child));
    }
  }
  return found;
}

absl::StatusOr<bool> FrozenTree::TakeZombie(const FrozenTask& task) {
  ASSIGN_OR_RETURN(std::optional<std::string> text, task.StatIfZombie());
  if (!text) return false;
  ASSIGN_OR_RETURN(const bool whole, HasEnded(task.dir()));
  if (!whole) return NoMainThread(task.pid());
  zombies_.push_back({task.pid(), *std::move(text)});
  return true;
}

std::vector<pid_t> FrozenTree::pids() const {
  std::vector<pid_t> pids;
  for (const FrozenTask& task : tasks_) pids.push_back(task.pid());
  return pids;
}

size_t FrozenTree::threads() const {
  size_t threads = 0;
  for (const FrozenTask& task : tasks_) threads += task.threads().size();
  return threads;
}

absl::Status FrozenTree::Resume() {
  absl::Status result;
  for (FrozenTask& task : tasks_) result.Update(task.Resume());
  return result;
}

absl::Status FrozenTree::LeaveStopped() {
  absl::Status result;
  for (FrozenTask& task : tasks_) result.Update(task.LeaveStopped());
  return result;
}

absl::Status FrozenTree::Kill() {
  absl::Status result;
  for (FrozenTask& task : tasks_) result.Update(task.Kill());
  return result;
}

void FrozenTree::WaitForEnd() {
  for (FrozenTask& task : tasks_) task.WaitForEnd();
}

}  // namespace dumpctl
