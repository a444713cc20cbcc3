#include "dump/session/socket_preflight.h"

#include <netinet/in.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "dump/sk/inet_diag.h"
#include "dump/sk/inet_refusal.h"
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

ResourceRefusal Refusal(const PeekedSocket& socket, std::string_view family,
                        const WhyNotText& why_not) {
  return {socket.pid,
          absl::StrCat("fd ", socket.number, " (socket, socket:[", socket.inode, "] (",
                       std::string(family), "))"),
          why_not.why, why_not.remedy};
}

// By inode, so that a socket of several tasks is told of once.
absl::StatusOr<std::map<ino_t, ResourceRefusal>> SuspectTcp(
    const std::vector<PeekedSocket>& sockets, const InetPolicy& policy) {
  std::map<ino_t, ResourceRefusal> suspected;
  ASSIGN_OR_RETURN(const InetSocketRows rows, AskForInetSockets(IPPROTO_TCP));
  for (const PeekedSocket& socket : sockets) {
    const auto row = rows.find(static_cast<uint32_t>(socket.inode));
    if (row == rows.end()) continue;
    if (const auto why_not = WhyNotTcp(row->second, policy)) {
      suspected.emplace(socket.inode, Refusal(socket, "TCP", *why_not));
    }
  }
  return suspected;
}

absl::StatusOr<ResourceRefusals> RefuseUnixSockets(const UnixSocketRows& before,
                                                   const std::vector<PeekedSocket>& sockets,
                                                   bool external) {
  ResourceRefusals refusals;
  const auto suspected = Judge(before, sockets, external);
  if (std::none_of(suspected.begin(), suspected.end(), [](const auto& s) { return !!s; })) {
    return refusals;
  }
  ASSIGN_OR_RETURN(const UnixSocketRows after, AskForUnixSockets());
  const auto found = Judge(after, sockets, external);
  std::set<ino_t> told;
  for (size_t i = 0; i < sockets.size(); ++i) {
    if (!suspected[i] || !found[i] || !told.insert(sockets[i].inode).second) continue;
    refusals.push_back(Refusal(sockets[i], "UNIX", *found[i]));
  }
  return refusals;
}

absl::StatusOr<ResourceRefusals> RefuseTcpSockets(const std::vector<PeekedSocket>& sockets,
                                                  const InetPolicy& policy) {
  ResourceRefusals refusals;
  ASSIGN_OR_RETURN(const auto suspected, SuspectTcp(sockets, policy));
  if (suspected.empty()) return refusals;
  ASSIGN_OR_RETURN(const auto found, SuspectTcp(sockets, policy));
  for (const auto& [inode, refusal] : found) {
    if (suspected.contains(inode)) refusals.push_back(refusal);
  }
  return refusals;
}

}  // namespace

absl::StatusOr<ResourceRefusals> RefuseSockets(const absl::StatusOr<UnixSocketRows>& before,
                                               const std::vector<PeekedSocket>& sockets,
                                               bool external, const InetPolicy& policy) {
  if (sockets.empty()) return ResourceRefusals();
  RETURN_IF_ERROR(before.status());
  ASSIGN_OR_RETURN(ResourceRefusals refusals, RefuseUnixSockets(*before, sockets, external));
  const bool has_others = std::any_of(sockets.begin(), sockets.end(), [&](const auto& socket) {
    return !before->contains(static_cast<uint32_t>(socket.inode));
  });
  if (!has_others) return refusals;
  ASSIGN_OR_RETURN(const ResourceRefusals refused, RefuseTcpSockets(sockets, policy));
  refusals.insert(refusals.end(), refused.begin(), refused.end());
  return refusals;
}

}  // namespace dumpctl
