#include "dump/sk/inet_sockets.h"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "dumpctl/status_macros.h"
#include "proc/proc_fs.h"

namespace dumpctl {
namespace {

union SocketAddress {
  sockaddr any;
  sockaddr_in v4;
  sockaddr_in6 v6;
};

InetEndpoint ToEndpoint(const SocketAddress& address, int family) {
  InetEndpoint endpoint;
  if (family == AF_INET) {
    endpoint.address = {address.v4.sin_addr.s_addr};
    endpoint.port = ntohs(address.v4.sin_port);
    return endpoint;
  }
  endpoint.address.resize(sizeof address.v6.sin6_addr / sizeof(uint32_t));
  std::memcpy(endpoint.address.data(), &address.v6.sin6_addr, sizeof address.v6.sin6_addr);
  endpoint.port = ntohs(address.v6.sin6_port);
  endpoint.device = address.v6.sin6_scope_id;
  return endpoint;
}

absl::Status ReadEndpoints(BorrowedFd socket, InetSocketFacts& facts) {
  SocketAddress address = {};
  socklen_t size = sizeof address;
  if (getsockname(socket.get(), &address.any, &size) < 0) {
    return absl::ErrnoToStatus(errno, "getsockname");
  }
  facts.local = ToEndpoint(address, facts.type.family);
  address = {};
  // It gives no more than it is asked for, and refuses to give less.
  size = facts.type.family == AF_INET ? sizeof address.v4 : sizeof address.v6;
  // This tells even of a connection that is closed who it was to, as getpeername(2) does not.
  if (getsockopt(socket.get(), SOL_SOCKET, SO_PEERNAME, &address, &size) < 0) {
    if (errno != ENOTCONN) return absl::ErrnoToStatus(errno, "SO_PEERNAME");
    address = {};
  }
  facts.remote = ToEndpoint(address, facts.type.family);
  return absl::OkStatus();
}

// One of TCP (a raw socket can have its number).
bool IsStream(const InetSocketType& type) { return type.type == SOCK_STREAM; }

// Of a raw socket that is connected only its route says so.
bool IsRawConnected(BorrowedFd socket, int family) {
  int mtu = 0;
  socklen_t size = sizeof mtu;
  return family == AF_INET ? getsockopt(socket.get(), IPPROTO_IP, IP_MTU, &mtu, &size) == 0
                           : getsockopt(socket.get(), IPPROTO_IPV6, IPV6_MTU, &mtu, &size) == 0;
}

absl::StatusOr<uint8_t> StateOf(BorrowedFd socket, const InetSocketFacts& facts) {
  if (facts.type.type == SOCK_RAW) {
    const bool connected = facts.remote.port != 0 || IsRawConnected(socket, facts.type.family);
    return static_cast<uint8_t>(connected ? TCP_ESTABLISHED : TCP_CLOSE);
  }
  if (!IsStream(facts.type)) {
    return static_cast<uint8_t>(facts.remote.port != 0 ? TCP_ESTABLISHED : TCP_CLOSE);
  }
  tcp_info info = {};
  socklen_t size = sizeof info;
  if (getsockopt(socket.get(), IPPROTO_TCP, TCP_INFO, &info, &size) < 0) {
    return absl::ErrnoToStatus(errno, "getsockopt(TCP_INFO)");
  }
  return info.tcpi_state;
}

// A datagram on its way to a device is sent whatever becomes of its socket, and mostly at once. One
// that waits for its end by MSG_MORE cannot be told from it but by its patience.
bool HasUnsent(BorrowedFd socket) {
  constexpr absl::Duration kPatience = absl::Milliseconds(2);
  const absl::Time deadline = absl::Now() + kPatience;
  int bytes = 0;
  while (ioctl(socket.get(), SIOCOUTQ, &bytes) == 0 && bytes > 0) {
    if (absl::Now() > deadline) return true;
    sched_yield();
  }
  return false;
}

// A restore binds to an address of IPv4 before it sets IP_FREEBIND.
bool IsLocal(const InetEndpoint& endpoint) {
  SocketAddress address = {};
  address.v4.sin_family = AF_INET;
  address.v4.sin_addr.s_addr = endpoint.address.front();
  const UniqueFd probe(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  return !probe || bind(probe.get(), &address.any, sizeof address.v4) == 0;
}

absl::StatusOr<std::vector<MulticastGroup>> GroupsOf(int family) {
  ASSIGN_OR_RETURN(const ProcDir self, ProcDir::OpenOwn());
  const absl::StatusOr<std::string> text = self.Read(family == AF_INET ? "net/igmp" : "net/igmp6");
  // A kernel without IGMP, or without IPv6.
  if (absl::IsNotFound(text.status())) return std::vector<MulticastGroup>();
  RETURN_IF_ERROR(text.status());
  return family == AF_INET ? ParseIgmp(*text) : ParseIgmp6(*text);
}

bool HasJoined(BorrowedFd socket, int family, const MulticastGroup& group) {
  group_filter filter = {};
  filter.gf_interface = group.device;
  SocketAddress address = {};
  if (family == AF_INET) {
    address.v4.sin_family = AF_INET;
    address.v4.sin_addr.s_addr = group.address.front();
  } else {
    address.v6.sin6_family = AF_INET6;
    std::memcpy(&address.v6.sin6_addr, group.address.data(), sizeof address.v6.sin6_addr);
  }
  std::memcpy(&filter.gf_group, &address, sizeof address);
  socklen_t size = sizeof filter;
  const int level = family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6;
  return getsockopt(socket.get(), level, MCAST_MSFILTER, &filter, &size) == 0;
}

void ReadEvents(BorrowedFd socket, InetSocketFacts& facts) {
  pollfd ready = {.fd = socket.get(), .events = POLLPRI | POLLRDHUP, .revents = 0};
  if (poll(&ready, 1, 0) <= 0) return;
  facts.error = (ready.revents & POLLERR) != 0;
  facts.urgent = (ready.revents & POLLPRI) != 0 && !facts.error;
  facts.was_connected =
      IsStream(facts.type) && facts.state == TCP_CLOSE && (ready.revents & POLLRDHUP) != 0;
}

}  // namespace

std::optional<InetSocketType> InetTypeOf(BorrowedFd socket) {
  InetSocketType type;
  socklen_t size = sizeof(int);
  const auto get = [&](int option, int& value) {
    return getsockopt(socket.get(), SOL_SOCKET, option, &value, &size) == 0;
  };
  if (!get(SO_DOMAIN, type.family) || !get(SO_TYPE, type.type) ||
      !get(SO_PROTOCOL, type.protocol)) {
    return std::nullopt;
  }
  if (type.family != AF_INET && type.family != AF_INET6) return std::nullopt;
  const bool is_stream = type.type == SOCK_STREAM && type.protocol == IPPROTO_TCP;
  const bool is_datagram =
      type.type == SOCK_DGRAM && (type.protocol == IPPROTO_UDP || type.protocol == IPPROTO_UDPLITE);
  if (!is_stream && !is_datagram && type.type != SOCK_RAW) return std::nullopt;
  return type;
}

absl::StatusOr<std::optional<InetSocketRow>> InetSockets::RowOf(uint32_t inode, int protocol) {
  const auto [known, is_new] = rows_.try_emplace(protocol);
  InetSocketRows& rows = known->second;
  if (is_new) {
    ASSIGN_OR_RETURN(rows, AskForInetSockets(protocol));
  }
  auto row = rows.find(inode);
  if (row == rows.end() && is_new) return std::nullopt;
  if (row == rows.end()) {
    // Missed, for others have made and closed sockets meanwhile?
    ASSIGN_OR_RETURN(const InetSocketRows again, AskForInetSockets(protocol));
    rows.insert(again.begin(), again.end());
    row = rows.find(inode);
    if (row == rows.end()) return std::nullopt;
  }
  return row->second;
}

// Only a socket itself tells whether it has joined a group, and only of one that it is asked for.
absl::StatusOr<bool> InetSockets::IsInGroup(BorrowedFd socket, int family) {
  const auto [known, is_new] = groups_.try_emplace(family);
  if (is_new) {
    ASSIGN_OR_RETURN(known->second, GroupsOf(family));
  }
  for (const MulticastGroup& group : known->second) {
    if (HasJoined(socket, family, group)) return true;
  }
  return false;
}

absl::Status InetSockets::Read(BorrowedFd copy, ino_t inode, const InetSocketType& type) {
  const auto [known, is_new] = sockets_.try_emplace(static_cast<uint32_t>(inode));
  if (!is_new) return absl::OkStatus();
  InetSocketFacts& facts = known->second;
  facts.copy = copy.get();
  facts.type = type;
  RETURN_IF_ERROR(ReadEndpoints(copy, facts));
  ASSIGN_OR_RETURN(facts.state, StateOf(copy, facts));
  ReadEvents(copy, facts);
  ASSIGN_OR_RETURN(facts.options, ReadSocketOptions(copy));
  LeaveOutCredentials(facts.options.entry);
  const bool connected = IsStream(type) && facts.state != TCP_LISTEN &&
                         (facts.state != TCP_CLOSE || facts.was_connected);
  ASSIGN_OR_RETURN(facts.inet, options_.Read(copy, type, connected));
  const bool has_row =
      IsStream(type) ? facts.state != TCP_CLOSE : type.type == SOCK_DGRAM && facts.local.port != 0;
  if (has_row && !facts.inet.foreign) {
    ASSIGN_OR_RETURN(facts.row, RowOf(known->first, type.protocol));
    // Where the kernel does not tell of namespaces, such a socket is of another one.
    if (!facts.row) facts.inet.foreign = true;
  }
  if (type.type == SOCK_RAW) facts.received = ReadReadiness(copy).received;
  if (!IsStream(type) && !facts.inet.foreign) {
    facts.unsent = HasUnsent(copy);
    ASSIGN_OR_RETURN(facts.in_group, IsInGroup(copy, AF_INET));
    if (type.family == AF_INET6 && !facts.in_group) {
      ASSIGN_OR_RETURN(facts.in_group, IsInGroup(copy, AF_INET6));
    }
  }
  if (type.family == AF_INET) facts.is_local = !facts.inet.ip.freebind() || IsLocal(facts.local);
  return absl::OkStatus();
}

std::vector<uint32_t> InetSockets::Connections() const {
  std::vector<uint32_t> inodes;
  for (const auto& [inode, facts] : sockets_) {
    if (!IsStream(facts.type) || facts.state == TCP_LISTEN) continue;
    if (facts.state == TCP_CLOSE && !facts.was_connected) continue;
    if (facts.state == TCP_SYN_SENT || facts.state == TCP_SYN_RECV) continue;
    if (facts.inet.foreign) continue;
    inodes.push_back(inode);
  }
  return inodes;
}

absl::Status InetSockets::ReadStream(uint32_t inode) {
  InetSocketFacts& facts = sockets_.at(inode);
  RETURN_IF_ERROR(StartRepair(BorrowedFd(facts.copy)));
  absl::StatusOr<TcpStream> stream = ReadTcpStream(BorrowedFd(facts.copy), facts.state);
  // Until it ends: it may not be touched more than it has to be.
  const bool ended = EndRepair(facts.copy, facts.options.entry.reuseaddr());
  RETURN_IF_ERROR(stream.status());
  if (!ended) return absl::InternalError("repair mode of a connection did not end");
  facts.stream = *std::move(stream);
  return absl::OkStatus();
}

bool InetSockets::AnySharesPort() const {
  return std::any_of(sockets_.begin(), sockets_.end(),
                     [](const auto& socket) { return socket.second.options.entry.so_reuseport(); });
}

void InetSockets::Lose(uint32_t inode, std::string_view option) {
  const auto known = sockets_.find(inode);
  if (known != sockets_.end()) known->second.options.lost.push_back(option);
}

}  // namespace dumpctl
