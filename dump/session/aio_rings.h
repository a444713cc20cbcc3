#ifndef DUMP_SESSION_AIO_RINGS_H_
#define DUMP_SESSION_AIO_RINGS_H_

#include <sys/types.h>

#include "absl/status/statusor.h"
#include "dumpctl/resource_refusal.h"
#include "proc/bpf_aio_contexts.h"
#include "proc/proc_fs.h"
#include "proc/vma_list.h"

namespace dumpctl {

// Contexts of native asynchronous I/O (io_setup(2)) are dumped by the memory of their rings. A
// restore starts no request again, so that none may be under way.

bool HasAioRings(const VmaList& vmas);

// Of each ring, that nothing tells what is under way in it: there are no `BpfAioContexts`.
ResourceRefusals RefuseUntoldRings(pid_t pid, const VmaList& vmas);

// Of a process that runs: requests of which none has ended for half a second, and rings that are
// not what their contexts say. A ring whose requests come and go is nothing to refuse yet.
absl::StatusOr<ResourceRefusals> RefuseStuckRings(const ProcDir& task, pid_t pid,
                                                  const VmaList& vmas,
                                                  const BpfAioContexts& contexts);

// Waits until the requests of a frozen process have ended, which those of files soon do. Those that
// have not then are refused, and so are rings that are not what their contexts say. After this
// returns the rings and what the requests have read stay as they are.
absl::StatusOr<ResourceRefusals> SettleAioRings(pid_t pid, const VmaList& vmas,
                                                const BpfAioContexts& contexts);

}  // namespace dumpctl

#endif  // DUMP_SESSION_AIO_RINGS_H_
