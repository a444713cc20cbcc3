#ifndef DUMP_SESSION_TERMINAL_PREFLIGHT_H_
#define DUMP_SESSION_TERMINAL_PREFLIGHT_H_

#include <sys/types.h>

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "dump/fd/descriptor.h"
#include "dump/session/target.h"
#include "dump/tty/terminal_refusal.h"
#include "dumpctl/resource_refusal.h"
#include "proc/bpf_terminal_queues.h"
#include "proc/proc_fs.h"

namespace dumpctl {

// A terminal of a running task, as far as procfs tells of it.
struct PeekedTerminal {
  pid_t pid = 0;
  int number = 0;    // of its descriptor
  std::string name;  // "fd 3 (terminal, /dev/pts/0)"
  TerminalFacts facts;
};

// None when it is no terminal, or one that is refused for what any file would be.
absl::StatusOr<std::optional<PeekedTerminal>> PeekTerminal(pid_t pid, const Descriptor& descriptor);

// What cannot be dumped among the terminals of running tasks, the root first. `before`: those that
// they had when they were looked at. Both change as the tasks run: what is refused stood in the way
// before and stands there after.
absl::StatusOr<ResourceRefusals> RefuseTerminals(const std::vector<PeekedTerminal>& before,
                                                 std::span<const Target> targets,
                                                 const TerminalOptions& options);

// Whether something waits in pseudo-terminals of running tasks that a dump would save. Looking at
// that takes copies of them, which last no longer than this.
absl::StatusOr<bool> HasTerminalData(std::span<const Target> targets,
                                     const BpfTerminalQueues& queues,
                                     const TerminalOptions& options);

}  // namespace dumpctl

#endif  // DUMP_SESSION_TERMINAL_PREFLIGHT_H_
