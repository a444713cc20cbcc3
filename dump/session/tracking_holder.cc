#include "dump/session/tracking_holder.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "dump/session/holder_packets.h"
#include "dump/session/holder_process.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

absl::StatusOr<std::optional<TrackedTree>> Request(const Target& root, char wanted) {
  const holder::Address address = holder::AddressOf(root.pid, root.stat.start_time);
  const UniqueFd socket = holder::NewSocket();
  if (!socket) return absl::ErrnoToStatus(errno, "socket");
  holder::LosePatience(socket.get());
  if (connect(socket.get(), reinterpret_cast<const sockaddr*>(&address.name), address.size) < 0) {
    if (errno == ECONNREFUSED) return std::nullopt;
    return absl::ErrnoToStatus(errno, "connecting to the holder of what is tracked");
  }
  // Somebody else's by that name tells us nothing.
  holder::Head head;
  if (!holder::IsTrusted(socket.get()) || !holder::Send(socket.get(), &wanted, 1) ||
      !holder::Receive(socket.get(), &head, sizeof head) || head.version != holder::kVersion) {
    return std::nullopt;
  }
  TrackedTree tree;
  tree.run_id.assign(head.run_id, strnlen(head.run_id, sizeof head.run_id));
  tree.way = head.way;
  for (uint32_t i = 0; i < head.tasks; ++i) {
    holder::TaskPacket packet;
    std::vector<UniqueFd> fds;
    if (!holder::Receive(socket.get(), &packet, sizeof packet, &fds)) return std::nullopt;
    WatchedTask task{.pid = packet.pid, .identity = packet.identity};
    const bool given = wanted == holder::kTake || head.way == TrackingWay::kSoftDirty;
    const size_t more = packet.has_sent + packet.has_claim;
    if (fds.size() != more + (given ? 1 : 0)) return std::nullopt;
    if (packet.has_claim != 0) task.claim = std::move(fds.back());
    if (given) task.watch = std::move(fds.front());
    if (packet.has_sent != 0) task.sent = std::move(fds[given ? 1 : 0]);
    tree.tasks.push_back(std::move(task));
  }
  if (wanted == holder::kTake) {
    // Until it has let go of all claims: nobody is to find them held when we have.
    char done = 0;
    holder::Receive(socket.get(), &done, 1);
    holder::Send(socket.get(), &holder::kDone, 1);
  }
  return tree;
}

}  // namespace

absl::StatusOr<uint64_t> IdentityOf(BorrowedFd pidfd) {
  struct stat stat = {};
  if (fstat(pidfd.get(), &stat) < 0) return absl::ErrnoToStatus(errno, "fstat of a pidfd");
  return stat.st_ino;
}

absl::StatusOr<TrackingHolder> TrackingHolder::Start() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
    return absl::ErrnoToStatus(errno, "socketpair");
  }
  UniqueFd ours(ends[0]);
  const UniqueFd theirs(ends[1]);
  const pid_t pid = fork();
  if (pid < 0) return absl::ErrnoToStatus(errno, "starting the holder of what is tracked");
  if (pid == 0) {
    ours.Reset();
    holder::BecomeHolder(theirs.get());
  }
  return TrackingHolder(std::move(ours));
}

absl::Status TrackingHolder::Keep(const Target& root, const TrackedTree& tree,
                                  std::span<const BorrowedFd> pidfds) {
  holder::Handover given{.address = holder::AddressOf(root.pid, root.stat.start_time)};
  given.head.tasks = static_cast<uint32_t>(tree.tasks.size());
  given.head.way = tree.way;
  std::copy_n(tree.run_id.data(), std::min(tree.run_id.size(), sizeof given.head.run_id - 1),
              given.head.run_id);
  holder::LosePatience(socket_.get());
  bool sent = holder::Send(socket_.get(), &given, sizeof given);
  for (size_t i = 0; sent && i < tree.tasks.size(); ++i) {
    const WatchedTask& task = tree.tasks[i];
    const holder::TaskPacket packet{.pid = task.pid,
                                    .has_sent = static_cast<uint16_t>(task.sent ? 1 : 0),
                                    .has_claim = static_cast<uint16_t>(task.claim ? 1 : 0),
                                    .identity = task.identity};
    std::vector<int> fds = {pidfds[i].get(), task.watch.get()};
    if (task.sent) fds.push_back(task.sent.get());
    if (task.claim) fds.push_back(task.claim.get());
    sent = holder::Send(socket_.get(), &packet, sizeof packet, fds);
  }
  int error = 0;
  if (!sent || !holder::Receive(socket_.get(), &error, sizeof error)) {
    return absl::UnavailableError("the process that is to hold it has ended");
  }
  if (error == EADDRINUSE) {
    return absl::UnavailableError(absl::StrCat("another one tracks process ", root.pid));
  }
  if (error != 0) return absl::ErrnoToStatus(error, "the process that is to hold it");
  return absl::OkStatus();
}

absl::StatusOr<std::optional<TrackedTree>> AskHolder(const Target& root) {
  return Request(root, holder::kAsk);
}

absl::StatusOr<std::optional<TrackedTree>> TakeFromHolder(const Target& root) {
  return Request(root, holder::kTake);
}

}  // namespace dumpctl
