#ifndef DUMP_SK_UNIX_DIAG_H_
#define DUMP_SK_UNIX_DIAG_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"

namespace dumpctl {

// States of a unix socket, in TCP's numbers.
inline constexpr uint8_t kUnixEstablished = 1;
inline constexpr uint8_t kUnixClosed = 7;
inline constexpr uint8_t kUnixListening = 10;

// What the kernel tells of a unix socket (sock_diag(7), UNIX_DIAG; Linux 3.3).
struct UnixSocketRow {
  uint32_t inode = 0;  // as fstat(2) tells it of a descriptor
  uint8_t type = 0;    // SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET
  uint8_t state = 0;
  // As it was bound: a path with its terminating zero, or an abstract name, which begins with one.
  std::string name;
  // Who it is connected to. 0: a socket that is closed, or that nobody has accepted yet.
  std::optional<uint32_t> peer;
  // Of a listening socket: those that wait to be accepted, by the inodes of who connected (0: who
  // has closed since), the eldest first.
  std::vector<uint32_t> pending;
  // Bytes that wait to be read; of datagrams, those of the first. Of a listening socket: how many
  // wait to be accepted.
  uint32_t receive_queue = 0;
  // Memory of what was sent and not read, with the kernel's own. Of a listening socket: how many
  // may wait to be accepted.
  uint32_t send_queue = 0;
  uint8_t shutdown = 0;  // 1: no more is received; 2: no more is sent

  bool listens() const { return state == kUnixListening; }
};

using UnixSocketRows = absl::flat_hash_map<uint32_t, UnixSocketRow>;

// All unix sockets of our network namespace, by inode, by one request.
//
// The kernel walks them without a lock over all: where others make and close sockets meanwhile, it
// can miss one.
//
// Errors: Failure::kHost on a kernel without CONFIG_UNIX_DIAG.
absl::StatusOr<UnixSocketRows> AskForUnixSockets();

// One row, out of a message without its netlink header. Pure. Errors: DataLoss.
absl::StatusOr<UnixSocketRow> ParseUnixDiag(std::span<const std::byte> message);

}  // namespace dumpctl

#endif  // DUMP_SK_UNIX_DIAG_H_
