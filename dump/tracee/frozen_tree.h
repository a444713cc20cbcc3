#ifndef DUMP_TRACEE_FROZEN_TREE_H_
#define DUMP_TRACEE_FROZEN_TREE_H_

#include <sys/types.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "dump/tracee/frozen_task.h"

namespace dumpctl {

// A process that has ended and that its parent, in the tree, has not waited for.
struct Zombie {
  pid_t pid = 0;
  std::string stat_text;  // of procfs: its parent, session, group and exit code
};

// What is known of a tree before it is frozen: it makes that quicker.
struct KnownTree {
  // Of processes with many threads, see FrozenThread; null: each thread is asked.
  const ThreadRows* rows = nullptr;
  // By pid; of those that are not among them it is opened.
  absl::flat_hash_map<pid_t, ProcDir> dirs;
};

// A process and all its descendants, stopped; see FrozenTask. Destroying the object lets them go
// on.
class FrozenTree {
 public:
  // Stops all of them, until a pass over the children of those that stand finds nobody new: parents
  // first, since whoever stands starts no more. Errors: FrozenTask::Freeze's, which name the
  // process; FailedPrecondition (Failure::kZombie) for one whose main thread alone has ended.
  //
  // `thaw` is given where all stand already, by a cgroup's freezer: then all are asked to stop
  // before it is called, and not before that any of them can.
  static absl::StatusOr<FrozenTree> Freeze(pid_t root, absl::Time deadline,
                                           const std::function<absl::Status()>& may_go_on = {},
                                           const std::function<absl::Status()>& thaw = {},
                                           const KnownTree& known = {});

  FrozenTree(FrozenTree&&) = default;
  FrozenTree& operator=(FrozenTree&&) = delete;

  // Parents before their children; the root is the first.
  const std::vector<FrozenTask>& tasks() const { return tasks_; }
  const std::vector<Zombie>& zombies() const { return zombies_; }
  size_t threads() const;
  std::vector<pid_t> pids() const;

  // The three ways out, as FrozenTask has them; the object is then empty. All are tried, and the
  // first error is told.
  absl::Status Resume();
  absl::Status LeaveStopped();
  // Parents first: no parent sees a child die. To be followed by WaitForEnd, unless it fails.
  absl::Status Kill();
  void WaitForEnd();

 private:
  FrozenTree() = default;

  // The root is who was looked over: whoever has its pid by now was not asked for. A child is
  // whoever is there.
  static absl::StatusOr<FrozenTask> OpenRoot(pid_t pid, const KnownTree& known);
  static absl::StatusOr<FrozenTask> Open(pid_t pid, const KnownTree& known);

  // Stops the processes, and takes them up: those that have died meanwhile as zombies.
  absl::Status Settle(std::vector<FrozenTask> fresh, absl::Time deadline,
                      const std::function<absl::Status()>& may_go_on,
                      const std::function<absl::Status()>& thaw = {});
  // All descendants of tasks that stand by themselves.
  absl::Status FindStanding(std::vector<FrozenTask>& tasks, const KnownTree& known);
  // Children of tasks_[first] and those behind it that are not known yet, dead ones among them.
  absl::StatusOr<std::vector<FrozenTask>> FindChildren(size_t first, const KnownTree& known);
  // False when it is no zombie.
  absl::StatusOr<bool> TakeZombie(const FrozenTask& task);

  std::vector<FrozenTask> tasks_;
  std::vector<bool> childless_;  // tasks_[i] was found so while it stood
  std::vector<Zombie> zombies_;
  absl::flat_hash_set<pid_t> known_;
};

}  // namespace dumpctl

#endif  // DUMP_TRACEE_FROZEN_TREE_H_
