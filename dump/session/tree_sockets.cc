#include "dump/session/tree_sockets.h"

#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "dump/session/peek_guardian.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

bool IsUnixSocket(const Descriptor& descriptor) {
  int domain = 0;
  socklen_t size = sizeof domain;
  // O_PATH: a descriptor of a socket's file is no socket.
  return getsockopt(descriptor.copy.get(), SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 &&
         domain == AF_UNIX;
}

absl::Status ReadSocket(const Descriptor& descriptor, const std::string& directory,
                        PeekGuardian& guardian, OpenFileIndex* index, TreeFacts& facts) {
  if (!S_ISSOCK(descriptor.stat.st_mode)) return absl::OkStatus();
  const BorrowedFd socket(descriptor.copy);
  if (const auto type = InetTypeOf(socket)) {
    return facts.inet_sockets.Read(socket, descriptor.stat.st_ino, *type);
  }
  if (!IsUnixSocket(descriptor)) return absl::OkStatus();
  const auto guard = [&guardian](BorrowedFd socket, absl::FunctionRef<absl::Status()> peeking) {
    return guardian.Guard(socket, peeking);
  };
  ASSIGN_OR_RETURN(std::vector<UniqueFd> queued,
                   facts.unix_sockets.Read(socket, descriptor.stat.st_ino, directory, guard));
  ASSIGN_OR_RETURN(std::vector<Descriptor> described, DescribeCopies(std::move(queued), index));
  std::move(described.begin(), described.end(), std::back_inserter(facts.queued));
  return absl::OkStatus();
}

}  // namespace

absl::Status ReadSockets(TreeFacts& facts, OpenFileIndex* index) {
  PeekGuardian guardian;
  for (const FrozenFacts& task : facts.tasks) {
    if (!task.descriptors) continue;
    for (const Descriptor& descriptor : *task.descriptors) {
      RETURN_IF_ERROR(ReadSocket(descriptor, task.cwd.path, guardian, index, facts));
    }
  }
  // What waits in a queue may be a socket with a queue of its own. The list grows meanwhile.
  for (size_t i = 0; i < facts.queued.size(); ++i) {
    Descriptor descriptor = std::move(facts.queued[i]);
    const absl::Status status = ReadSocket(descriptor, "", guardian, index, facts);
    facts.queued[i] = std::move(descriptor);
    RETURN_IF_ERROR(status);
  }
  return absl::OkStatus();
}

}  // namespace dumpctl
