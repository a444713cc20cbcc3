#include "dump/session/tree_sockets.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "dump/fd/file_refusal.h"
#include "dumpctl/status_macros.h"
#include "dumpctl/trace.h"
#include "proc/fdinfo_parser.h"

namespace dumpctl {
namespace {

// AF_UNSPEC of what is none: O_PATH opens a socket's file.
int FamilyOf(const Descriptor& descriptor) {
  if (!S_ISSOCK(descriptor.stat.st_mode)) return AF_UNSPEC;
  const absl::StatusOr<FdInfo> info = InfoOf(descriptor);
  if (!info.ok() || (info->flags & O_PATH) != 0) return AF_UNSPEC;
  if (descriptor.link &&
      FileKindOf(descriptor.stat, *descriptor.link, info->flags) == FileKind::kUnixSocket) {
    return AF_UNIX;
  }
  int domain = AF_UNSPEC;
  socklen_t size = sizeof domain;
  const bool told = getsockopt(descriptor.copy.get(), SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0;
  return told ? domain : AF_UNSPEC;
}

absl::Status ReadUnixSocket(const Descriptor& descriptor, const std::string& directory,
                            PeekGuardian& guardian, OpenFileIndex* index, TreeFacts& facts) {
  const auto guard = [&guardian](BorrowedFd socket, absl::FunctionRef<absl::Status()> peeking) {
    return guardian.Guard(socket, peeking);
  };
  ASSIGN_OR_RETURN(std::vector<UniqueFd> queued,
                   facts.unix_sockets.Read(BorrowedFd(descriptor.copy), descriptor.stat.st_ino,
                                           directory, guard));
  ASSIGN_OR_RETURN(std::vector<Descriptor> described, DescribeCopies(std::move(queued), index));
  std::move(described.begin(), described.end(), std::back_inserter(facts.queued));
  return absl::OkStatus();
}

absl::Status ReadSocket(const Descriptor& descriptor, const std::string& directory,
                        PeekGuardian& guardian, OpenFileIndex* index, TreeFacts& facts) {
  const BorrowedFd socket(descriptor.copy);
  const ino_t inode = descriptor.stat.st_ino;
  switch (FamilyOf(descriptor)) {
    case AF_UNIX:
      return ReadUnixSocket(descriptor, directory, guardian, index, facts);
    case AF_INET:
    case AF_INET6:
      if (const auto type = InetTypeOf(socket))
        return facts.inet_sockets.Read(socket, inode, *type);
      return absl::OkStatus();
    case AF_NETLINK: {
      const auto key = static_cast<uint32_t>(inode);
      if (facts.netlink_sockets.contains(key)) return absl::OkStatus();
      ASSIGN_OR_RETURN(facts.netlink_sockets[key], ReadNetlinkSocket(socket));
      return absl::OkStatus();
    }
    case AF_PACKET:
      return facts.packet_sockets.Read(socket, inode);
    default:
      return absl::OkStatus();
  }
}

struct CopySource {
  const FrozenTask& task;
  UniqueFd pidfd;  // once there is something to be copied
};

// A copy of a unix socket that has none and was not read before. False where none is needed.
absl::StatusOr<bool> TakeUnixSocket(CopySource& from, Descriptor& descriptor,
                                    const TreeFacts& facts) {
  if (descriptor.copy || FamilyOf(descriptor) != AF_UNIX) return false;
  const auto inode = static_cast<uint32_t>(descriptor.stat.st_ino);
  if (facts.unix_sockets.sockets().contains(inode)) return false;
  if (!from.pidfd) {
    ASSIGN_OR_RETURN(from.pidfd, from.task.OpenPidfd());
  }
  ASSIGN_OR_RETURN(descriptor.copy,
                   TakeCopy(from.task.dir(), BorrowedFd(from.pidfd), descriptor.number));
  return true;
}

// Of so many that were asked are the copies closed later, when the tasks run again.
size_t MostAsked() {
  constexpr size_t kMost = 4096;
  rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return 1;
  return std::clamp<size_t>(limit.rlim_cur / 8, 1, kMost);
}

// Where that fails each socket is asked.
void Compare(const SocketLikeness& likeness, TreeFacts& facts) {
  for (const FrozenFacts& task : facts.tasks) {
    if (!task.descriptors) continue;
    absl::StatusOr<SocketLikenesses> found = likeness.Read(task.process.pid);
    if (found.ok()) facts.unix_sockets.Know(*std::move(found));
  }
}

// Which sockets share their port as a program says. Few trees have any that share one, so what
// reads it is loaded now.
absl::Status TryFindingPrograms(const KernelFeatures& features, TreeFacts& facts) {
  if (!features.Has(KernelFeature::kBpfTaskFile)) return absl::UnavailableError("no BPF");
  ASSIGN_OR_RETURN(const BpfSocketStates states, BpfSocketStates::Load());
  for (const FrozenFacts& task : facts.tasks) {
    if (!task.descriptors) continue;
    ASSIGN_OR_RETURN(const std::vector<SocketState> sockets, states.Read(task.process.pid));
    for (const SocketState& socket : sockets) {
      if (!socket.reuseport_program) continue;
      facts.inet_sockets.Lose(static_cast<uint32_t>(socket.inode), "SO_ATTACH_REUSEPORT_EBPF");
    }
  }
  return absl::OkStatus();
}

void FindPrograms(const KernelFeatures& features, TreeFacts& facts) {
  facts.port_programs_untold = !TryFindingPrograms(features, facts).ok();
}

}  // namespace

absl::Status ReadSockets(const FrozenTree& tree, const KernelFeatures& features,
                         const SocketLikeness* likeness, PeekGuardian& guardian,
                         OpenFileIndex* index, TreeFacts& facts) {
  const TraceSpan span(TraceKind::kWork, "sockets");
  if (likeness != nullptr) Compare(*likeness, facts);
  const size_t most = MostAsked();
  for (size_t i = 0; i < facts.tasks.size(); ++i) {
    FrozenFacts& task = facts.tasks[i];
    if (!task.descriptors) continue;
    CopySource from{tree.tasks()[i], {}};
    for (Descriptor& descriptor : *task.descriptors) {
      ASSIGN_OR_RETURN(const bool taken, TakeUnixSocket(from, descriptor, facts));
      RETURN_IF_ERROR(ReadSocket(descriptor, task.cwd.path, guardian, index, facts));
      if (!taken) continue;
      if (facts.asked.size() >= most) facts.asked.clear();
      facts.asked.push_back(std::move(descriptor.copy));
    }
  }
  // What waits in a queue may be a socket with a queue of its own. The list grows meanwhile.
  for (size_t i = 0; i < facts.queued.size(); ++i) {
    Descriptor descriptor = std::move(facts.queued[i]);
    const absl::Status status = ReadSocket(descriptor, "", guardian, index, facts);
    facts.queued[i] = std::move(descriptor);
    RETURN_IF_ERROR(status);
  }
  if (index != nullptr) RETURN_IF_ERROR(NumberCopies(*index, facts.queued));
  if (facts.inet_sockets.AnySharesPort()) FindPrograms(features, facts);
  return absl::OkStatus();
}

}  // namespace dumpctl
