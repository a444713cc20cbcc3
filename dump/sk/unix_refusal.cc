#include "dump/sk/unix_refusal.h"

#include <sys/socket.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"

namespace dumpctl {
namespace {

constexpr uint8_t kShutBoth = 3;
constexpr std::string_view kReadIt = "let the program read it";

WhyNotText Refusal(std::string_view why, std::string_view remedy) {
  return {std::string(why), std::string(remedy)};
}

std::optional<WhyNotText> WhyNotListening(const UnixSocketRow& row,
                                          const UnixConnections& connections) {
  for (const uint32_t client : row.pending) {
    if (client == 0) {
      return Refusal("a connection that it has not accepted yet is closed on the other side",
                     "let the program accept it");
    }
    if (!connections.IsOurs(client)) {
      return WhyNotText{absl::StrCat("a connection that it has not accepted yet is from socket ",
                                     client, ", which is not part of the dump"),
                        "let the program accept it, or dump both processes in one tree"};
    }
  }
  return std::nullopt;
}

std::optional<WhyNotText> WhyNotExternal(const UnixSocketRow& row,
                                         const UnixConnections& connections, bool external) {
  const uint32_t peer = connections.PeerOf(row);
  const UnixSocketRow* other = connections.RowOf(peer);
  const std::string why =
      absl::StrCat("it is connected to socket ", peer, ", which is not part of the dump");
  // A datagram socket can find a name again. A stream is more than its two names.
  if (row.type != SOCK_DGRAM || other == nullptr || other->name.empty()) {
    return WhyNotText{why, "dump both ends in one tree, or let the program close it"};
  }
  if (external) return std::nullopt;
  return WhyNotText{
      why, "add --ext-unix-sk (-x): a restore then connects it to who has that name by then"};
}

// A restore sends what waits by one of those that are connected to the socket, without
// credentials.
std::optional<WhyNotText> WhyNotQueued(const UnixSocketFacts& facts,
                                       const UnixConnections& connections) {
  const UnixSocketRow& row = *facts.row;
  std::set<std::string> senders = connections.NamesOfConnected(row.inode);
  if (senders.empty()) senders.insert("");
  const bool has_rights = std::any_of(facts.rights.begin(), facts.rights.end(),
                                      [](const auto& rights) { return !rights.empty(); });
  if (has_rights && connections.HasUnheldSender(row.inode)) {
    return Refusal(
        "descriptors wait in it, and who has sent them waits in the queue of a socket itself",
        kReadIt);
  }
  for (const QueuedPacket& packet : facts.queue.packets) {
    if (packet.credentials && packet.credentials->pid != 0) {
      return Refusal("what waits in it tells who has sent it (SO_PASSCRED), and no restore does",
                     kReadIt);
    }
    if (!packet.unknown_controls.empty()) {
      return WhyNotText{
          absl::StrCat("what waits in it has control messages of type ",
                       packet.unknown_controls.front(), ", which no restore brings back"),
          std::string(kReadIt)};
    }
    if (row.type == SOCK_DGRAM && senders != std::set<std::string>{packet.source}) {
      return Refusal("a restore would name another sender of what waits in it", kReadIt);
    }
  }
  return std::nullopt;
}

}  // namespace

UnixConnections::UnixConnections(const UnixSocketRows& rows, std::set<uint32_t> ours,
                                 std::set<uint32_t> unheld)
    : rows_(rows), ours_(std::move(ours)), unheld_(std::move(unheld)) {
  for (const auto& [inode, row] : rows_) {
    for (const uint32_t client : row.pending) listeners_[client] = inode;
  }
  for (const uint32_t inode : ours_) {
    const UnixSocketRow* row = RowOf(inode);
    if (row != nullptr && row->peer.value_or(0) != 0) connected_.emplace(*row->peer, inode);
  }
}

uint32_t UnixConnections::PeerOf(const UnixSocketRow& row) const {
  if (row.peer.value_or(0) != 0) return *row.peer;
  const auto listener = listeners_.find(row.inode);
  return listener == listeners_.end() ? 0 : listener->second;
}

bool UnixConnections::IsExternal(const UnixSocketRow& row) const {
  const uint32_t peer = PeerOf(row);
  return peer != 0 && !IsOurs(peer);
}

const UnixSocketRow* UnixConnections::RowOf(uint32_t inode) const {
  const auto row = rows_.find(inode);
  return row == rows_.end() ? nullptr : &row->second;
}

bool UnixConnections::HasUnheldSender(uint32_t inode) const {
  const auto [begin, end] = connected_.equal_range(inode);
  return std::any_of(begin, end,
                     [this](const auto& each) { return unheld_.contains(each.second); });
}

std::set<std::string> UnixConnections::NamesOfConnected(uint32_t inode) const {
  std::set<std::string> names;
  const auto [begin, end] = connected_.equal_range(inode);
  for (auto each = begin; each != end; ++each) names.insert(RowOf(each->second)->name);
  return names;
}

std::optional<WhyNotText> WhyNotConnected(const UnixSocketRow& row,
                                          const UnixConnections& connections, bool external) {
  if (row.listens()) return WhyNotListening(row, connections);
  if (connections.IsExternal(row)) return WhyNotExternal(row, connections, external);
  if (connections.IsPending(row) && row.send_queue > 0) {
    return Refusal("it has sent on a connection that nobody has accepted yet",
                   "let the program that listens accept it");
  }
  const UnixSocketRow* peer = connections.RowOf(connections.PeerOf(row));
  // One that nobody is connected to, and that has no name to find it by.
  if (row.type == SOCK_DGRAM && peer != nullptr && peer->name.empty() && peer->peer != row.inode) {
    return WhyNotText{
        absl::StrCat("it is connected to socket ", peer->inode, ", which has no name"),
        "let the program close it"};
  }
  // Both connect in an order that no restore knows: whom one is connected to accepts no other.
  if (row.type == SOCK_DGRAM && peer != nullptr && peer->peer.value_or(0) != 0 &&
      peer->peer != row.inode && peer->peer != peer->inode) {
    return WhyNotText{absl::StrCat("it is connected to socket ", peer->inode,
                                   ", which has been connected to another one since"),
                      "let the program close it"};
  }
  const bool connects = row.type != SOCK_DGRAM && row.state == kUnixEstablished;
  if (connects && peer == nullptr && row.shutdown != kShutBoth) {
    return Refusal("nobody has accepted its connection yet, and who listens is not to be found",
                   "dump it when it is accepted");
  }
  return std::nullopt;
}

std::optional<WhyNotText> WhyNotRestored(const UnixSocketFacts& facts,
                                         const UnixConnections& connections) {
  if (!facts.row) {
    return Refusal("it belongs to another network namespace", "let the program close it");
  }
  if (auto options = WhyNotOptions(facts.options.lost)) return options;
  switch (facts.queue.trouble) {
    case QueueTrouble::kError:
      return Refusal("an error of its connection waits to be told, which no restore brings back",
                     "let the program read from it");
    case QueueTrouble::kUrgent:
      return Refusal("urgent data (MSG_OOB) waits in it, which no restore brings back", kReadIt);
    case QueueTrouble::kNone:
      break;
  }
  return WhyNotQueued(facts, connections);
}

}  // namespace dumpctl
