#ifndef DUMP_SK_INET_DIAG_H_
#define DUMP_SK_INET_DIAG_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"

namespace dumpctl {

// What the kernel tells of an internet socket (sock_diag(7), INET_DIAG).
struct InetSocketRow {
  uint32_t inode = 0;  // as fstat(2) tells it of a descriptor
  uint8_t family = 0;  // AF_INET, AF_INET6
  uint8_t state = 0;   // <netinet/tcp.h>: TCP_LISTEN...; of UDP TCP_ESTABLISHED or TCP_CLOSE
  // Bytes that wait to be read; of datagrams, their memory. Of a listening socket: how many
  // connections wait to be accepted.
  uint32_t receive_queue = 0;
  // Bytes that the other end has not acknowledged. Of a listening socket: how many may wait.
  uint32_t send_queue = 0;
  uint8_t shutdown = 0;         // 1: no more is received; 2: no more is sent
  bool has_signatures = false;  // TCP_MD5SIG

  friend bool operator==(const InetSocketRow&, const InetSocketRow&) = default;
};

// By inode.
using InetSocketRows = absl::flat_hash_map<uint32_t, InetSocketRow>;

// All sockets of `protocol` (IPPROTO_TCP, IPPROTO_UDP, IPPROTO_UDPLITE) in our network namespace
// that have an inode, of both families, by a request for each. Sockets that neither are connected
// nor have a port are not told of, nor are those of TCP that have no more than a port.
//
// See AskSockDiag for what it can miss. Errors: Failure::kHost on a kernel without
// CONFIG_INET_TCP_DIAG or CONFIG_INET_UDP_DIAG.
absl::StatusOr<InetSocketRows> AskForInetSockets(int protocol);

// One row, out of a message without its netlink header. Pure. Errors: DataLoss.
absl::StatusOr<InetSocketRow> ParseInetDiag(std::span<const std::byte> message);

}  // namespace dumpctl

#endif  // DUMP_SK_INET_DIAG_H_
