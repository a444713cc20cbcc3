#ifndef DUMP_SESSION_TASK_PREFLIGHT_H_
#define DUMP_SESSION_TASK_PREFLIGHT_H_

#include <sys/types.h>

#include <set>
#include <span>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "dump/session/preflight.h"
#include "dump/session/socket_preflight.h"
#include "dump/session/target.h"
#include "dump/session/terminal_preflight.h"
#include "dumpctl/resource_refusal.h"

namespace dumpctl {

// What is told apart over the whole tree.
struct Peeked {
  pid_t root = 0;
  std::vector<PeekedSocket> sockets;
  std::set<std::pair<dev_t, ino_t>> kept;  // of what a copy has to be kept (IsKept)
  std::vector<PeekedTerminal> terminals;
};

// Looks each of them over, the root first: what stands in the way goes into the blockers, but for
// that of which more has to be known (`peeked`). ReadMaps comes first.
absl::Status LookAtTasks(std::span<const Target> targets, Preflight& preflight, Peeked& peeked);

void Append(ResourceRefusals& to, ResourceRefusals from);

}  // namespace dumpctl

#endif  // DUMP_SESSION_TASK_PREFLIGHT_H_
