#include "dump/sk/inet_options.h"

#include <linux/icmp.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "dumpctl/failure.h"
#include "dumpctl/kernel_abi.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

// Whose an option is.
enum class Of : uint8_t {
  kAll,
  kV6,
  kTcp,
  // What a connection makes of it is no setting of the program's.
  kTcpBefore,
  kUdp,
  // TCP has no multicast, and what an accepted socket says there are facts of a packet.
  kDatagrams,
  kV6Datagrams,
  kV6Raw,
};

// An option without a place in the images.
struct UnplacedIpOption {
  Of of;
  int level;
  int option;
  std::string_view name;
};

constexpr UnplacedIpOption kUnplacedIpOptions[] = {
    // No option that can be set: it tells the network namespace.
    {Of::kAll, SOL_SOCKET, abi::kSoNetnsCookie, "SO_NETNS_COOKIE"},
    {Of::kAll, IPPROTO_IP, IP_OPTIONS, "IP_OPTIONS"},
    {Of::kAll, IPPROTO_IP, IP_RECVOPTS, "IP_RECVOPTS"},
    {Of::kAll, IPPROTO_IP, IP_RETOPTS, "IP_RETOPTS"},
    {Of::kAll, IPPROTO_IP, IP_MTU_DISCOVER, "IP_MTU_DISCOVER"},
    {Of::kAll, IPPROTO_IP, IP_RECVERR, "IP_RECVERR"},
    {Of::kAll, IPPROTO_IP, IP_RECVTTL, "IP_RECVTTL"},
    {Of::kAll, IPPROTO_IP, IP_RECVTOS, "IP_RECVTOS"},
    {Of::kAll, IPPROTO_IP, IP_PASSSEC, "IP_PASSSEC"},
    {Of::kAll, IPPROTO_IP, IP_TRANSPARENT, "IP_TRANSPARENT"},
    {Of::kAll, IPPROTO_IP, IP_ORIGDSTADDR, "IP_RECVORIGDSTADDR"},
    {Of::kAll, IPPROTO_IP, IP_MINTTL, "IP_MINTTL"},
    {Of::kAll, IPPROTO_IP, IP_CHECKSUM, "IP_CHECKSUM"},
    {Of::kAll, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, "IP_BIND_ADDRESS_NO_PORT"},
    {Of::kAll, IPPROTO_IP, IP_RECVFRAGSIZE, "IP_RECVFRAGSIZE"},
    {Of::kAll, IPPROTO_IP, IP_RECVERR_RFC4884, "IP_RECVERR_RFC4884"},
    {Of::kDatagrams, IPPROTO_IP, IP_MULTICAST_IF, "IP_MULTICAST_IF"},
    {Of::kDatagrams, IPPROTO_IP, IP_MULTICAST_TTL, "IP_MULTICAST_TTL"},
    {Of::kDatagrams, IPPROTO_IP, IP_MULTICAST_LOOP, "IP_MULTICAST_LOOP"},
    {Of::kDatagrams, IPPROTO_IP, IP_MULTICAST_ALL, "IP_MULTICAST_ALL"},
    {Of::kAll, IPPROTO_IP, IP_UNICAST_IF, "IP_UNICAST_IF"},
    {Of::kAll, IPPROTO_IP, abi::kIpLocalPortRange, "IP_LOCAL_PORT_RANGE"},
    // Of IPv4 sockets these have a place.
    {Of::kV6, IPPROTO_IP, IP_PKTINFO, "IP_PKTINFO"},
    {Of::kV6, IPPROTO_IP, IP_TOS, "IP_TOS"},
    {Of::kV6, IPPROTO_IP, IP_TTL, "IP_TTL"},
    {Of::kV6, IPPROTO_IPV6, IPV6_UNICAST_HOPS, "IPV6_UNICAST_HOPS"},
    {Of::kV6Datagrams, IPPROTO_IPV6, IPV6_MULTICAST_IF, "IPV6_MULTICAST_IF"},
    {Of::kV6Datagrams, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, "IPV6_MULTICAST_HOPS"},
    {Of::kV6Datagrams, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, "IPV6_MULTICAST_LOOP"},
    {Of::kV6, IPPROTO_IPV6, IPV6_MTU_DISCOVER, "IPV6_MTU_DISCOVER"},
    {Of::kV6, IPPROTO_IPV6, IPV6_RECVERR, "IPV6_RECVERR"},
    {Of::kV6Datagrams, IPPROTO_IPV6, IPV6_MULTICAST_ALL, "IPV6_MULTICAST_ALL"},
    {Of::kV6, IPPROTO_IPV6, abi::kIpv6RecverrRfc4884, "IPV6_RECVERR_RFC4884"},
    {Of::kV6, IPPROTO_IPV6, abi::kIpv6FlowinfoSend, "IPV6_FLOWINFO_SEND"},
    {Of::kV6, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, "IPV6_RECVHOPLIMIT"},
    {Of::kV6, IPPROTO_IPV6, IPV6_RECVHOPOPTS, "IPV6_RECVHOPOPTS"},
    {Of::kV6, IPPROTO_IPV6, IPV6_HOPOPTS, "IPV6_HOPOPTS"},
    {Of::kV6, IPPROTO_IPV6, IPV6_RTHDRDSTOPTS, "IPV6_RTHDRDSTOPTS"},
    {Of::kV6, IPPROTO_IPV6, IPV6_RECVRTHDR, "IPV6_RECVRTHDR"},
    {Of::kV6, IPPROTO_IPV6, IPV6_RTHDR, "IPV6_RTHDR"},
    {Of::kV6, IPPROTO_IPV6, IPV6_RECVDSTOPTS, "IPV6_RECVDSTOPTS"},
    {Of::kV6, IPPROTO_IPV6, IPV6_DSTOPTS, "IPV6_DSTOPTS"},
    {Of::kV6, IPPROTO_IPV6, IPV6_RECVPATHMTU, "IPV6_RECVPATHMTU"},
    {Of::kV6, IPPROTO_IPV6, IPV6_DONTFRAG, "IPV6_DONTFRAG"},
    {Of::kV6, IPPROTO_IPV6, IPV6_RECVTCLASS, "IPV6_RECVTCLASS"},
    {Of::kV6, IPPROTO_IPV6, IPV6_TCLASS, "IPV6_TCLASS"},
    {Of::kV6, IPPROTO_IPV6, IPV6_AUTOFLOWLABEL, "IPV6_AUTOFLOWLABEL"},
    {Of::kV6, IPPROTO_IPV6, IPV6_ADDR_PREFERENCES, "IPV6_ADDR_PREFERENCES"},
    {Of::kV6, IPPROTO_IPV6, IPV6_MINHOPCOUNT, "IPV6_MINHOPCOUNT"},
    {Of::kV6, IPPROTO_IPV6, IPV6_ORIGDSTADDR, "IPV6_RECVORIGDSTADDR"},
    {Of::kV6, IPPROTO_IPV6, IPV6_TRANSPARENT, "IPV6_TRANSPARENT"},
    {Of::kV6, IPPROTO_IPV6, IPV6_UNICAST_IF, "IPV6_UNICAST_IF"},
    {Of::kV6, IPPROTO_IPV6, IPV6_RECVFRAGSIZE, "IPV6_RECVFRAGSIZE"},
    {Of::kV6Raw, IPPROTO_IPV6, IPV6_CHECKSUM, "IPV6_CHECKSUM"},
    {Of::kTcpBefore, IPPROTO_TCP, TCP_MAXSEG, "TCP_MAXSEG"},
    {Of::kTcpBefore, IPPROTO_TCP, TCP_WINDOW_CLAMP, "TCP_WINDOW_CLAMP"},
    {Of::kTcp, IPPROTO_TCP, TCP_SYNCNT, "TCP_SYNCNT"},
    {Of::kTcp, IPPROTO_TCP, TCP_LINGER2, "TCP_LINGER2"},
    {Of::kTcp, IPPROTO_TCP, TCP_DEFER_ACCEPT, "TCP_DEFER_ACCEPT"},
    {Of::kTcp, IPPROTO_TCP, TCP_CONGESTION, "TCP_CONGESTION"},
    {Of::kTcp, IPPROTO_TCP, TCP_THIN_LINEAR_TIMEOUTS, "TCP_THIN_LINEAR_TIMEOUTS"},
    {Of::kTcp, IPPROTO_TCP, TCP_USER_TIMEOUT, "TCP_USER_TIMEOUT"},
    {Of::kTcp, IPPROTO_TCP, TCP_FASTOPEN, "TCP_FASTOPEN"},
    {Of::kTcp, IPPROTO_TCP, TCP_NOTSENT_LOWAT, "TCP_NOTSENT_LOWAT"},
    {Of::kTcp, IPPROTO_TCP, TCP_SAVE_SYN, "TCP_SAVE_SYN"},
    {Of::kTcp, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, "TCP_FASTOPEN_CONNECT"},
    {Of::kTcp, IPPROTO_TCP, TCP_ULP, "TCP_ULP"},
    {Of::kTcp, IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, "TCP_FASTOPEN_NO_COOKIE"},
    {Of::kTcp, IPPROTO_TCP, TCP_INQ, "TCP_INQ"},
    {Of::kTcp, IPPROTO_TCP, TCP_TX_DELAY, "TCP_TX_DELAY"},
    {Of::kTcp, IPPROTO_TCP, abi::kTcpRtoMaxMs, "TCP_RTO_MAX_MS"},
    {Of::kTcp, IPPROTO_TCP, abi::kTcpRtoMinUs, "TCP_RTO_MIN_US"},
    {Of::kTcp, IPPROTO_TCP, abi::kTcpDelackMaxUs, "TCP_DELACK_MAX_US"},
    {Of::kUdp, IPPROTO_UDP, UDP_ENCAP, "UDP_ENCAP"},
    {Of::kUdp, IPPROTO_UDP, UDP_NO_CHECK6_TX, "UDP_NO_CHECK6_TX"},
    {Of::kUdp, IPPROTO_UDP, UDP_NO_CHECK6_RX, "UDP_NO_CHECK6_RX"},
    {Of::kUdp, IPPROTO_UDP, UDP_SEGMENT, "UDP_SEGMENT"},
    {Of::kUdp, IPPROTO_UDP, UDP_GRO, "UDP_GRO"},
    {Of::kUdp, IPPROTO_UDPLITE, abi::kUdpliteSendCscov, "UDPLITE_SEND_CSCOV"},
    {Of::kUdp, IPPROTO_UDPLITE, abi::kUdpliteRecvCscov, "UDPLITE_RECV_CSCOV"},
};

bool IsOf(const UnplacedIpOption& row, const InetSocketType& type) {
  switch (row.of) {
    case Of::kAll:
      return true;
    case Of::kV6:
      return type.family == AF_INET6;
    case Of::kTcp:
    case Of::kTcpBefore:
      return type.protocol == IPPROTO_TCP;
    case Of::kUdp:
      return type.protocol == row.level;
    case Of::kDatagrams:
      return type.type != SOCK_STREAM;
    case Of::kV6Datagrams:
      return type.type != SOCK_STREAM && type.family == AF_INET6;
    case Of::kV6Raw:
      return type.type == SOCK_RAW && type.family == AF_INET6;
  }
  return false;
}

// The value as it is, or which error there was instead.
std::string Raw(BorrowedFd socket, int level, int option) {
  char value[64] = {};
  socklen_t size = sizeof value;
  if (getsockopt(socket.get(), level, option, value, &size) < 0) return absl::StrCat("!", errno);
  return std::string(value, size);
}

absl::StatusOr<uint32_t> Number(BorrowedFd socket, int level, int option) {
  int value = 0;
  socklen_t size = sizeof value;
  if (getsockopt(socket.get(), level, option, &value, &size) == 0) {
    return static_cast<uint32_t>(value);
  }
  return absl::ErrnoToStatus(errno, absl::StrCat("getsockopt(", level, ", ", option, ")"));
}

absl::Status ReadIp(BorrowedFd socket, const InetSocketType& type, InetOptions& options) {
  const bool is_v6 = type.family == AF_INET6;
  ASSIGN_OR_RETURN(const uint32_t free_bind, is_v6 ? Number(socket, IPPROTO_IPV6, IPV6_FREEBIND)
                                                   : Number(socket, IPPROTO_IP, IP_FREEBIND));
  ASSIGN_OR_RETURN(const uint32_t packet_info, is_v6
                                                   ? Number(socket, IPPROTO_IPV6, IPV6_RECVPKTINFO)
                                                   : Number(socket, IPPROTO_IP, IP_PKTINFO));
  if (free_bind != 0) options.ip.set_freebind(true);
  if (packet_info != 0) options.ip.set_pktinfo(true);
  if (is_v6) {
    ASSIGN_OR_RETURN(const uint32_t only, Number(socket, IPPROTO_IPV6, IPV6_V6ONLY));
    options.v6only = only != 0;
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const uint32_t tos, Number(socket, IPPROTO_IP, IP_TOS));
  ASSIGN_OR_RETURN(const uint32_t ttl, Number(socket, IPPROTO_IP, IP_TTL));
  if (tos != 0) options.ip.set_tos(tos);
  options.ip.set_ttl(ttl);
  return absl::OkStatus();
}

// Which types of ICMP's messages come through.
template <typename Filter>
absl::Status ReadIcmpFilter(BorrowedFd socket, int level, int option,
                            image::ip_opts_raw_entry& raw) {
  Filter filter = {};
  socklen_t size = sizeof filter;
  if (getsockopt(socket.get(), level, option, &filter, &size) < 0) {
    return absl::ErrnoToStatus(errno, "the filter of a socket of ICMP");
  }
  uint32_t words[sizeof filter / sizeof(uint32_t)];
  std::memcpy(words, &filter, sizeof words);
  for (const uint32_t word : words) raw.add_icmpv_filter(word);
  return absl::OkStatus();
}

absl::Status ReadRaw(BorrowedFd socket, const InetSocketType& type, image::ip_opts_raw_entry& raw) {
  const bool is_v6 = type.family == AF_INET6;
  ASSIGN_OR_RETURN(const uint32_t own_headers, is_v6
                                                   ? Number(socket, IPPROTO_IPV6, abi::kIpv6Hdrincl)
                                                   : Number(socket, IPPROTO_IP, IP_HDRINCL));
  if (own_headers != 0) raw.set_hdrincl(true);
  if (!is_v6) {
    // Raw sockets of IPv6 know no options of IPv4.
    ASSIGN_OR_RETURN(const uint32_t fragments, Number(socket, IPPROTO_IP, IP_NODEFRAG));
    if (fragments != 0) raw.set_nodefrag(true);
  }
  if (!is_v6 && type.protocol == IPPROTO_ICMP) {
    return ReadIcmpFilter<icmp_filter>(socket, SOL_RAW, ICMP_FILTER, raw);
  }
  if (is_v6 && type.protocol == IPPROTO_ICMPV6) {
    return ReadIcmpFilter<icmp6_filter>(socket, IPPROTO_ICMPV6, ICMP6_FILTER, raw);
  }
  return absl::OkStatus();
}

absl::Status ReadTcp(BorrowedFd socket, InetOptions& options) {
  ASSIGN_OR_RETURN(const uint32_t cork, Number(socket, IPPROTO_TCP, TCP_CORK));
  ASSIGN_OR_RETURN(const uint32_t no_delay, Number(socket, IPPROTO_TCP, TCP_NODELAY));
  ASSIGN_OR_RETURN(const uint32_t count, Number(socket, IPPROTO_TCP, TCP_KEEPCNT));
  ASSIGN_OR_RETURN(const uint32_t idle, Number(socket, IPPROTO_TCP, TCP_KEEPIDLE));
  ASSIGN_OR_RETURN(const uint32_t interval, Number(socket, IPPROTO_TCP, TCP_KEEPINTVL));
  if (cork != 0) options.tcp.set_cork(true);
  if (no_delay != 0) options.tcp.set_nodelay(true);
  options.tcp.set_keepcnt(count);
  options.tcp.set_keepidle(idle);
  options.tcp.set_keepintvl(interval);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<const std::vector<std::string>*> InetOptionReader::DefaultsOf(
    const InetSocketType& type) {
  const auto [known, is_new] = defaults_.try_emplace(type);
  if (!is_new) return &known->second;
  const UniqueFd fresh(socket(type.family, type.type | SOCK_CLOEXEC, type.protocol));
  if (!fresh && errno == EPERM) {
    return MakeFailure(Failure::kPermission, absl::StatusCode::kPermissionDenied,
                       "dumping raw sockets needs CAP_NET_RAW");
  }
  if (!fresh) return absl::ErrnoToStatus(errno, "making a socket to compare options with");
  for (const UnplacedIpOption& row : kUnplacedIpOptions) {
    known->second.push_back(IsOf(row, type) ? Raw(BorrowedFd(fresh), row.level, row.option)
                                            : std::string());
  }
  return &known->second;
}

absl::StatusOr<InetOptions> InetOptionReader::Read(BorrowedFd socket, const InetSocketType& type,
                                                   bool connected) {
  InetOptions options;
  RETURN_IF_ERROR(ReadIp(socket, type, options));
  if (type.protocol == IPPROTO_TCP) {
    RETURN_IF_ERROR(ReadTcp(socket, options));
  } else if (type.type == SOCK_RAW) {
    RETURN_IF_ERROR(ReadRaw(socket, type, *options.ip.mutable_raw()));
  } else {
    ASSIGN_OR_RETURN(const uint32_t cork, Number(socket, type.protocol, UDP_CORK));
    options.corked = cork != 0;
  }
  ASSIGN_OR_RETURN(const std::vector<std::string>* defaults, DefaultsOf(type));
  for (size_t i = 0; i < std::size(kUnplacedIpOptions); ++i) {
    const UnplacedIpOption& row = kUnplacedIpOptions[i];
    if (!IsOf(row, type) || (connected && row.of == Of::kTcpBefore)) continue;
    if (Raw(socket, row.level, row.option) == (*defaults)[i]) continue;
    if (row.level == SOL_SOCKET) {
      options.foreign = true;
    } else {
      options.lost.push_back(row.name);
    }
  }
  return options;
}

}  // namespace dumpctl
