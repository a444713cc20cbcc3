#include "dump/session/tcp_connections.h"

#include <signal.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "dump/sk/network_lock.h"
#include "dump/sk/tcp_stream.h"
#include "dumpctl/failure.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

absl::StatusOr<std::vector<Command>> PrepareAll(std::vector<LockCommand> commands) {
  std::vector<Command> prepared;
  for (LockCommand& command : commands) {
    ASSIGN_OR_RETURN(Command ready, Command::Prepare(std::move(command.arguments), command.input));
    prepared.push_back(std::move(ready));
  }
  return prepared;
}

absl::Status NoProgram(const absl::Status& why) {
  return MakeFailure(
      Failure::kHost, absl::StatusCode::kFailedPrecondition,
      absl::StrCat("keeping packets of a connection away while it is dumped takes iptables-restore "
                   "and ip6tables-restore, or nft: ",
                   std::string(why.message()),
                   "; install iptables or nftables, or add --network-lock skip"));
}

}  // namespace

TcpConnections::~TcpConnections() { Release().IgnoreError(); }

absl::StatusOr<NetworkLock> TcpConnections::PrepareCommands(std::optional<NetworkLock> lock,
                                                            const InetSockets& sockets,
                                                            const std::string& run_id) {
  std::vector<Connection> connections;
  for (const uint32_t inode : sockets.Connections()) {
    const InetSocketFacts& facts = sockets.sockets().at(inode);
    connections.push_back({facts.local, facts.remote});
  }
  const NetworkLock method = lock.value_or(NetworkLock::kIptables);
  LockCommands commands = CommandsFor(method, connections, run_id);
  absl::StatusOr<std::vector<Command>> prepared = PrepareAll(std::move(commands.lock));
  if (absl::IsNotFound(prepared.status())) {
    if (lock) return NoProgram(prepared.status());
    return PrepareCommands(NetworkLock::kNftables, sockets, run_id);
  }
  RETURN_IF_ERROR(prepared.status());
  lock_ = *std::move(prepared);
  ASSIGN_OR_RETURN(unlock_, PrepareAll(std::move(commands.unlock)));
  return method;
}

void TcpConnections::GuardRepairs() {
  if (repairs_.Start(RepairDeed, this).ok()) repairs_.WatchClosely();
}

bool TcpConnections::EndRepairs() const {
  bool ended = true;
  for (const Held& held : held_) ended &= EndRepair(held.socket, held.reuse_address);
  return ended;
}

// For who is not here any more.
void TcpConnections::Settle() const {
  switch (phase_->load()) {
    case kLocked:
      EndRepairs();
      phase_->store(kRepaired);
      break;
    case kKilling:
      // Half of them might be dead. None is gone: they were traced.
      for (const pid_t pid : pids_) kill(pid, SIGKILL);
      break;
    default:
      break;
  }
}

void TcpConnections::RepairDeed(void* connections) {
  static_cast<const TcpConnections*>(connections)->Settle();
}

void TcpConnections::UnlockDeed(void* argument) {
  const auto& connections = *static_cast<const TcpConnections*>(argument);
  connections.Settle();
  if (connections.phase_->load() != kRepaired) return;
  for (const Command& command : connections.unlock_) command.Execute(-1);
}

absl::StatusOr<NetworkLock> TcpConnections::Read(InetSockets& sockets,
                                                 std::optional<NetworkLock> lock,
                                                 const std::string& run_id,
                                                 std::vector<pid_t> pids) {
  const std::vector<uint32_t> inodes = sockets.Connections();
  if (inodes.empty()) return lock.value_or(NetworkLock::kIptables);
  ASSIGN_OR_RETURN(const NetworkLock method, PrepareCommands(lock, sockets, run_id));
  pids_ = std::move(pids);
  for (const uint32_t inode : inodes) {
    const InetSocketFacts& facts = sockets.sockets().at(inode);
    held_.push_back({facts.copy, facts.options.entry.reuseaddr()});
  }
  RETURN_IF_ERROR(phase_.Make());
  RETURN_IF_ERROR(unlocks_.Start(UnlockDeed, this));
  phase_->store(kLocked);
  for (const Command& command : lock_) RETURN_IF_ERROR(command.Run());
  GuardRepairs();
  for (const uint32_t inode : inodes) RETURN_IF_ERROR(sockets.ReadStream(inode));
  // None is in repair any more.
  repairs_.Dismiss();
  return method;
}

absl::Status TcpConnections::Release() {
  if (!phase_ || phase_->load() == kNothing) return absl::OkStatus();
  const bool ended = EndRepairs();
  repairs_.Dismiss();
  absl::Status status;
  for (const Command& command : unlock_) status.Update(command.Run());
  phase_->store(kNothing);
  if (!ended) return absl::InternalError("repair mode of a connection did not end");
  return status;
}

absl::Status TcpConnections::PrepareEnd() {
  if (!phase_) return absl::OkStatus();
  GuardRepairs();
  for (const Held& held : held_) RETURN_IF_ERROR(StartRepair(BorrowedFd(held.socket)));
  phase_->store(kKilling);
  return absl::OkStatus();
}

void TcpConnections::Keep() {
  repairs_.Dismiss();
  if (phase_) phase_->store(kNothing);
}

}  // namespace dumpctl
