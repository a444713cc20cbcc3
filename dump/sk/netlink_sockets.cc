#include "dump/sk/netlink_sockets.h"

#include <linux/netlink.h>
#include <sys/socket.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "dump/sk/socket_options.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

// States as restores know them: those that the kernel shows.
constexpr uint32_t kUnbound = 0;
constexpr uint32_t kConnected = 1;
constexpr uint32_t kBound = 7;

struct Unplaced {
  int option;
  std::string_view name;
};

constexpr Unplaced kUnplaced[] = {{NETLINK_PKTINFO, "NETLINK_PKTINFO"},
                                  {NETLINK_BROADCAST_ERROR, "NETLINK_BROADCAST_ERROR"},
                                  {NETLINK_NO_ENOBUFS, "NETLINK_NO_ENOBUFS"},
                                  {NETLINK_LISTEN_ALL_NSID, "NETLINK_LISTEN_ALL_NSID"},
                                  {NETLINK_CAP_ACK, "NETLINK_CAP_ACK"},
                                  {NETLINK_EXT_ACK, "NETLINK_EXT_ACK"},
                                  {NETLINK_GET_STRICT_CHK, "NETLINK_GET_STRICT_CHK"}};

absl::Status ReadNames(BorrowedFd socket, NetlinkSocketFacts& facts) {
  sockaddr_nl address = {};
  socklen_t size = sizeof address;
  if (getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size) < 0) {
    return absl::ErrnoToStatus(errno, "getsockname");
  }
  facts.port = address.nl_pid;
  address = {};
  size = sizeof address;
  if (getpeername(socket.get(), reinterpret_cast<sockaddr*>(&address), &size) < 0) {
    return absl::ErrnoToStatus(errno, "getpeername");
  }
  facts.other_port = address.nl_pid;
  facts.other_groups = address.nl_groups;
  return absl::OkStatus();
}

absl::Status ReadGroups(BorrowedFd socket, NetlinkSocketFacts& facts) {
  constexpr size_t kMostGroups = 4096;
  facts.groups.resize(kMostGroups / 32);
  socklen_t size = kMostGroups / 8;
  if (getsockopt(socket.get(), SOL_NETLINK, NETLINK_LIST_MEMBERSHIPS, facts.groups.data(), &size) <
      0) {
    return absl::ErrnoToStatus(errno, "NETLINK_LIST_MEMBERSHIPS");
  }
  while (!facts.groups.empty() && facts.groups.back() == 0) facts.groups.pop_back();
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<NetlinkSocketFacts> ReadNetlinkSocket(BorrowedFd socket) {
  NetlinkSocketFacts facts;
  socklen_t size = sizeof facts.protocol;
  if (getsockopt(socket.get(), SOL_SOCKET, SO_PROTOCOL, &facts.protocol, &size) < 0) {
    return absl::ErrnoToStatus(errno, "SO_PROTOCOL");
  }
  RETURN_IF_ERROR(ReadNames(socket, facts));
  RETURN_IF_ERROR(ReadGroups(socket, facts));
  ASSIGN_OR_RETURN(facts.options, ReadSocketOptions(socket));
  for (const Unplaced& row : kUnplaced) {
    int value = 0;
    size = sizeof value;
    if (getsockopt(socket.get(), SOL_NETLINK, row.option, &value, &size) == 0 && value != 0) {
      facts.lost.push_back(row.name);
    }
  }
  const SocketReadiness ready = ReadReadiness(socket);
  facts.received = ready.received;
  facts.error = ready.error;
  ASSIGN_OR_RETURN(facts.foreign, IsOfOtherNetwork(socket));
  return facts;
}

std::optional<WhyNotText> WhyNotNetlink(const NetlinkSocketFacts& facts) {
  if (facts.foreign) {
    return WhyNotText{"it belongs to another network namespace", "let the program close it"};
  }
  std::vector<std::string_view> lost = facts.options.lost;
  lost.insert(lost.end(), facts.lost.begin(), facts.lost.end());
  if (auto options = WhyNotOptions(lost)) return options;
  if (facts.error) {
    return WhyNotText{"an error waits to be told, which no restore brings back",
                      "let the program read from it"};
  }
  if (facts.received) {
    return WhyNotText{"messages wait in it, which no restore brings back",
                      "let the program read them"};
  }
  if (facts.groups.size() > 1) {
    return WhyNotText{"it is in a group with a number above 32, which no restore joins again",
                      "let the program leave the group"};
  }
  return std::nullopt;
}

image::netlink_sk_entry NetlinkEntry(const NetlinkSocketFacts& facts, uint32_t inode,
                                     const SocketFile& file, uint32_t net_namespace) {
  image::netlink_sk_entry entry;
  entry.set_id(file.id);
  entry.set_ino(inode);
  entry.set_protocol(facts.protocol);
  const bool connected = facts.other_port != 0 || facts.other_groups != 0;
  entry.set_state(facts.port == 0 ? kUnbound : connected ? kConnected : kBound);
  entry.set_flags(file.flags);
  entry.set_portid(facts.port);
  for (const uint32_t word : facts.groups) entry.add_groups(word);
  entry.set_dst_portid(facts.other_port);
  entry.set_dst_group(facts.other_groups);
  *entry.mutable_fown() = file.owner;
  *entry.mutable_opts() = facts.options.entry;
  if (facts.port != 0) entry.set_ns_id(net_namespace);
  return entry;
}

}  // namespace dumpctl
