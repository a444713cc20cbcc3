#ifndef DUMP_SESSION_TCP_CONNECTIONS_H_
#define DUMP_SESSION_TCP_CONNECTIONS_H_

#include <sys/types.h>

#include <atomic>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dump/session/command.h"
#include "dump/session/guardian.h"
#include "dump/session/shared_memory.h"
#include "dump/sk/inet_policy.h"
#include "dump/sk/inet_sockets.h"
#include "dumpctl/unique_fd.h"

namespace dumpctl {

// The connections of TCP of one dump. Their packets are kept away from when they are read until
// their tasks go on; or, where these are killed, until a restore is there to take them.
//
// Whatever becomes of this process, guardians let the connections go on: one ends their repair
// before any task could find them in it, and one lets packets through. Where the first may not
// trace us, or cannot be started, the second does all, some 100 us late.
class TcpConnections {
 public:
  TcpConnections() = default;
  TcpConnections(const TcpConnections&) = delete;
  TcpConnections& operator=(const TcpConnections&) = delete;
  // Lets them go on, unless they have ended.
  ~TcpConnections();

  // Keeps their packets away, and reads them into `sockets`, whose copies must outlive the object.
  // By iptables where `lock` is none, or by nftables on a machine without it. `run_id`: what the
  // inventory calls this dump. `pids`: of their tasks, which are frozen. Gives the lock that was
  // taken.
  //
  // Errors: Failure::kHost without the program that the lock takes; PermissionDenied without
  // CAP_NET_ADMIN.
  absl::StatusOr<NetworkLock> Read(InetSockets& sockets, std::optional<NetworkLock> lock,
                                   const std::string& run_id, std::vector<pid_t> pids);

  // Lets them go on: before their tasks do. Nothing the second time.
  absl::Status Release();

  // From now on they end without a word to the other end when their tasks are killed, and these are
  // killed even if this process is first.
  absl::Status PrepareEnd();
  // Their tasks are dying: packets are kept away for ever, or until a restore has them.
  void Keep();

  size_t size() const { return held_.size(); }

 private:
  struct Held {
    int socket = -1;  // our copy
    bool reuse_address = false;
  };
  enum Phase : int { kNothing, kLocked, kRepaired, kKilling };

  absl::StatusOr<NetworkLock> PrepareCommands(std::optional<NetworkLock> lock,
                                              const InetSockets& sockets,
                                              const std::string& run_id);
  static void UnlockDeed(void* connections);
  static void RepairDeed(void* connections);
  // Before any connection is in repair.
  void GuardRepairs();
  void Settle() const;
  bool EndRepairs() const;

  std::vector<Held> held_;
  std::vector<Command> lock_;
  std::vector<Command> unlock_;
  std::vector<pid_t> pids_;
  SharedMemory<std::atomic<int>> phase_;  // kNothing at first
  Guardian unlocks_;
  Guardian repairs_;
};

}  // namespace dumpctl

#endif  // DUMP_SESSION_TCP_CONNECTIONS_H_
