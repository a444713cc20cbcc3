#ifndef DUMP_SESSION_TASK_CLAIM_H_
#define DUMP_SESSION_TASK_CLAIM_H_

#include <sys/types.h>

#include <cstdint>

#include "absl/status/statusor.h"
#include "dumpctl/unique_fd.h"

namespace dumpctl {

// That somebody counts on a process's soft-dirty bits. There is one set of them: whoever clears
// them takes from all others what was written before, and a SoftDirtyRecord tells nothing of it
// where the other one has the same witness. Of userfaultfds the kernel itself lets there be one
// alone.
//
// It is an abstract unix socket that has the process's pid and start time in its name, where nobody
// listens: it lasts until the last of its descriptors is closed, whichever way who has it ends, and
// is not seen from other network namespaces (see TrackingHolder). execve(2) leaves it as it is.
//
// Unavailable where another one has it.
absl::StatusOr<UniqueFd> ClaimTask(pid_t pid, uint64_t start_time);

}  // namespace dumpctl

#endif  // DUMP_SESSION_TASK_CLAIM_H_
