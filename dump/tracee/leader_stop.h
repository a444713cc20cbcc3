#ifndef DUMP_TRACEE_LEADER_STOP_H_
#define DUMP_TRACEE_LEADER_STOP_H_

#include <sys/types.h>

#include "absl/status/statusor.h"
#include "dump/tracee/ptrace_ops.h"
#include "proc/proc_fs.h"

namespace dumpctl {

// WaitStop of the first thread of a process, others of which we trace too, whether we know them or
// not.
//
// Kernel trap: the end of a process's first thread is not told before its others have been waited
// for. So whoever waited for that one alone, while somebody kills the process, would wait for ever,
// and so would the process's parent.
absl::StatusOr<Stop> WaitStopOfLeader(pid_t pid, const ProcDir& process);

}  // namespace dumpctl

#endif  // DUMP_TRACEE_LEADER_STOP_H_
