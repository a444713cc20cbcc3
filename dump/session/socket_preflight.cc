#include "dump/session/socket_preflight.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "dump/sk/unix_refusal.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

std::vector<std::optional<WhyNotText>> Judge(const UnixSocketRows& rows,
                                             const std::vector<PeekedSocket>& sockets,
                                             bool external) {
  std::set<uint32_t> ours;
  bool has_queues = false;
  for (const PeekedSocket& socket : sockets) {
    const auto row = rows.find(static_cast<uint32_t>(socket.inode));
    if (row == rows.end()) continue;  // of another family, or too young
    ours.insert(row->first);
    has_queues |= row->second.receive_queue > 0 && !row->second.listens();
  }
  const UnixConnections connections(rows, std::move(ours));
  std::vector<std::optional<WhyNotText>> why_nots;
  for (const PeekedSocket& socket : sockets) {
    std::optional<WhyNotText>& why_not = why_nots.emplace_back();
    const UnixSocketRow* row = connections.RowOf(static_cast<uint32_t>(socket.inode));
    // The other end may wait in a queue, which is not looked into before the tasks stand still.
    if (row != nullptr && !has_queues) why_not = WhyNotConnected(*row, connections, external);
  }
  return why_nots;
}

}  // namespace

absl::StatusOr<ResourceRefusals> RefuseSockets(const absl::StatusOr<UnixSocketRows>& before,
                                               const std::vector<PeekedSocket>& sockets,
                                               bool external) {
  ResourceRefusals refusals;
  if (sockets.empty()) return refusals;
  RETURN_IF_ERROR(before.status());
  const auto suspected = Judge(*before, sockets, external);
  if (std::none_of(suspected.begin(), suspected.end(), [](const auto& s) { return !!s; })) {
    return refusals;
  }
  ASSIGN_OR_RETURN(const UnixSocketRows after, AskForUnixSockets());
  const auto found = Judge(after, sockets, external);
  std::set<ino_t> told;
  for (size_t i = 0; i < sockets.size(); ++i) {
    if (!suspected[i] || !found[i] || !told.insert(sockets[i].inode).second) continue;
    refusals.push_back({sockets[i].pid,
                        absl::StrCat("fd ", sockets[i].number, " (socket, socket:[",
                                     sockets[i].inode, "] (UNIX))"),
                        found[i]->why, found[i]->remedy});
  }
  return refusals;
}

}  // namespace dumpctl
