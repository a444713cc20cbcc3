#ifndef DUMP_SESSION_TARGET_H_
#define DUMP_SESSION_TARGET_H_

#include <sys/types.h>

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dumpctl/unique_fd.h"
#include "proc/proc_fs.h"

namespace dumpctl {

// The process to be dumped, pinned: neither handle ever refers to another one that gets its pid.
struct Target {
  pid_t pid = 0;
  ProcDir dir;
  UniqueFd pidfd;
  std::string comm;
  pid_t session = 0;
};

// Finds out whether this can be dumped at all, by us. Each way it cannot has a Failure of its own:
// no such process, a thread, a kernel thread, pid 1, ourselves or an ancestor, a zombie, somebody
// traces it, a 32-bit program, or a capability that we lack.
absl::StatusOr<Target> FindTarget(pid_t pid);

// Whether it is dead by now.
bool IsDead(const Target& target);

// The same error, said as Failure::kTargetDied when the target's death explains it.
absl::Status ExplainByDeath(absl::Status status, const Target& target);

}  // namespace dumpctl

#endif  // DUMP_SESSION_TARGET_H_
