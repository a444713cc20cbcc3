#ifndef DUMP_SESSION_SOCKET_PREFLIGHT_H_
#define DUMP_SESSION_SOCKET_PREFLIGHT_H_

#include <sys/types.h>

#include <vector>

#include "absl/status/statusor.h"
#include "dump/sk/inet_policy.h"
#include "dump/sk/unix_diag.h"
#include "dumpctl/resource_refusal.h"

namespace dumpctl {

// A socket as preflight sees it.
struct PeekedSocket {
  pid_t pid = 0;
  int number = 0;
  ino_t inode = 0;
};

// What cannot be dumped among the unix sockets of running tasks, and their sockets of TCP.
// `before`: the rows of unix sockets as they were before `sockets` were looked for. Both change as
// the tasks run: what is refused stood in the way before and stands there after.
absl::StatusOr<ResourceRefusals> RefuseSockets(const absl::StatusOr<UnixSocketRows>& before,
                                               const std::vector<PeekedSocket>& sockets,
                                               bool external, const InetPolicy& policy);

}  // namespace dumpctl

#endif  // DUMP_SESSION_SOCKET_PREFLIGHT_H_
