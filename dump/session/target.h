#ifndef DUMP_SESSION_TARGET_H_
#define DUMP_SESSION_TARGET_H_

#include <sys/types.h>

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dumpctl/unique_fd.h"
#include "proc/proc_fs.h"
#include "proc/stat_parser.h"
#include "proc/thread_rows.h"

namespace dumpctl {

// The process to be dumped, pinned: no handle ever refers to another one that gets its pid.
struct Target {
  // Invalid where it is gone.
  UniqueFd OpenPidfd() const;

  pid_t pid = 0;
  ProcDir dir;
  UniqueFd pidfd;             // of the root alone: there may be thousands
  TaskStat stat;              // as it was when it was found
  uint64_t threads = 0;       // by then
  bool shadow_stack = false;  // in use by then
  uid_t uid = 0;              // real
  // KiB of its memory by then, which is about what it is when it stands still: all that is
  // resident, what of that is shared with files, what is swapped out, and of page tables.
  uint64_t resident = 0;
  uint64_t resident_shared = 0;
  uint64_t swapped = 0;
  uint64_t page_tables = 0;
  uint64_t PrivateBytes() const { return (resident - std::min(resident, resident_shared)) << 10; }
};

// Of whom nothing else is asked. NotFound when it is gone.
absl::StatusOr<TaskStat> StatOfTask(pid_t pid);

// A process and all its descendants, as far as they stay while we look; parents before their
// children. Zombies below the root are left out. Finds out whether each can be dumped at all, by
// us. Each way it cannot has a Failure of its own: no such process, a thread, a kernel thread, pid
// 1, ourselves or an ancestor, a zombie, somebody traces it, a 32-bit program, or a capability that
// we lack. `rows` learns of those with many threads; null: each of them is asked.
absl::StatusOr<std::vector<Target>> FindTree(pid_t root, ThreadRows* rows = nullptr);

std::vector<pid_t> PidsOf(std::span<const Target> targets);

// The zombies among their children, as far as they stay while we look.
std::vector<pid_t> ZombiesBelow(std::span<const Target> targets);

// Whether it is dead by now.
bool IsDead(const Target& target);

// Of a process that is about to end memory and fs are gone before it is a zombie, and kcmp(2) takes
// nothing for the same as nothing. Who still has both had them before, too.
bool HasEnded(const Target& target);

// The same error, said as Failure::kTargetDied when the death of one of them explains it.
absl::Status ExplainByDeath(absl::Status status, std::span<const Target> targets);

// A child may end at any time, and what is seen of it then says nothing. Without the root there is
// nothing to be dumped.
bool HasGone(const Target& target, std::span<const Target> targets);

}  // namespace dumpctl

#endif  // DUMP_SESSION_TARGET_H_
