#include "dump/sk/unix_sockets.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <iterator>
#include <utility>

#include "dumpctl/failure.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

// <linux/un.h> collides with <sys/un.h>.
constexpr unsigned long kSiocUnixFile = SIOCPROTOPRIVATE;  // Linux 4.16: opens the bound path

// None when it is bound to no path.
absl::StatusOr<UniqueFd> OpenBound(BorrowedFd socket) {
  UniqueFd bound(ioctl(socket.get(), kSiocUnixFile, 0));
  if (bound || errno == ENOENT) return bound;
  if (errno == EPERM) {
    return MakeFailure(Failure::kPermission, absl::StatusCode::kPermissionDenied,
                       "finding the file that a socket is bound to needs CAP_NET_ADMIN");
  }
  return absl::ErrnoToStatus(errno, "SIOCUNIXFILE");
}

}  // namespace

absl::StatusOr<std::optional<UnixSocketRow>> UnixSockets::RowOf(uint32_t inode) {
  const bool first = rows_.empty();
  if (first) {
    ASSIGN_OR_RETURN(rows_, AskForUnixSockets());
  }
  auto row = rows_.find(inode);
  if (row == rows_.end() && !first) return std::nullopt;
  if (row == rows_.end()) {
    // Missed, for others have made and closed sockets meanwhile?
    ASSIGN_OR_RETURN(const UnixSocketRows again, AskForUnixSockets());
    rows_.insert(again.begin(), again.end());
    row = rows_.find(inode);
    if (row == rows_.end()) return std::nullopt;
  }
  return row->second;
}

absl::StatusOr<SocketOptions> UnixSockets::OptionsOf(BorrowedFd copy, uint32_t inode) {
  const auto likeness = likenesses_.find(inode);
  if (likeness == likenesses_.end()) return ReadSocketOptions(copy);
  const auto known = alike_.find(likeness->second);
  if (known != alike_.end()) return known->second;
  ASSIGN_OR_RETURN(SocketOptions options, ReadSocketOptions(copy));
  alike_.emplace(likeness->second, options);
  return options;
}

absl::StatusOr<std::vector<UniqueFd>> UnixSockets::Read(BorrowedFd copy, ino_t inode,
                                                        const std::string& directory,
                                                        PeekOffsetGuard guard) {
  std::vector<UniqueFd> queued;
  const auto [known, is_new] = sockets_.try_emplace(static_cast<uint32_t>(inode));
  UnixSocketFacts& facts = known->second;
  if (!is_new) return queued;
  facts.directory = directory;
  facts.held = !directory.empty();
  ASSIGN_OR_RETURN(facts.row, RowOf(known->first));
  ASSIGN_OR_RETURN(facts.options, OptionsOf(copy, known->first));
  // Such a socket is refused. Looking at its queue would only disturb it.
  if (!facts.row || !facts.options.lost.empty()) return queued;
  const std::string& name = facts.row->name;
  if (!name.empty() && name.front() != '\0') {
    ASSIGN_OR_RETURN(facts.bound, OpenBound(copy));
  }
  if (facts.row->listens()) return queued;
  ASSIGN_OR_RETURN(facts.queue, PeekQueue(copy, facts.row->type, facts.row->receive_queue, guard));
  for (QueuedPacket& packet : facts.queue.packets) {
    std::vector<size_t>& rights = facts.rights.emplace_back();
    for (UniqueFd& file : packet.files) {
      rights.push_back(queued_++);
      queued.push_back(std::move(file));
    }
    packet.files.clear();
  }
  return queued;
}

absl::Status UnixSockets::FindPaths() {
  for (auto& [inode, facts] : sockets_) {
    if (!facts.bound) continue;
    const std::string name(facts.row->name.c_str());
    ASSIGN_OR_RETURN(facts.path, FindBoundPath(name, BorrowedFd(facts.bound), facts.directory));
    facts.has_path = true;
    facts.bound.Reset();
  }
  return absl::OkStatus();
}

}  // namespace dumpctl
