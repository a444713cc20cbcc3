#ifndef DUMP_SK_PACKET_SOCKETS_H_
#define DUMP_SK_PACKET_SOCKETS_H_

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "dump/sk/inet_policy.h"
#include "dump/sk/socket_file.h"
#include "dump/sk/socket_options.h"
#include "dumpctl/resource_refusal.h"
#include "dumpctl/unique_fd.h"
#include "proto/sockets.pb.h"

namespace dumpctl {

// What the kernel tells of a packet socket (sock_diag(7), PACKET_DIAG; Linux 3.7).
struct PacketSocketRow {
  uint32_t inode = 0;
  // But for id, flags, owner, options and namespace.
  image::packet_sock_entry entry;
};

// By inode.
using PacketSocketRows = absl::flat_hash_map<uint32_t, PacketSocketRow>;

// One row, out of a message without its netlink header. Pure. Errors: DataLoss.
absl::StatusOr<PacketSocketRow> ParsePacketDiag(std::span<const std::byte> message);

// One packet socket (packet(7)), as it was read while its tasks stood still.
struct PacketSocketFacts {
  std::optional<PacketSocketRow> row;  // none of a socket of another network namespace than ours
  SocketOptions options;
  std::vector<std::string_view> lost;  // options of its own that the images have no place for
  bool received = false;               // packets wait in it
  bool error = false;                  // waits to be told
};

// The packet sockets of a dump, each once, however many tasks have it.
class PacketSockets {
 public:
  // Reads the socket that `copy` of ours, with this inode, refers to; nothing when it is known.
  // Errors: Failure::kHost on a kernel without CONFIG_PACKET_DIAG.
  absl::Status Read(BorrowedFd copy, ino_t inode);

  const std::map<uint32_t, PacketSocketFacts>& sockets() const { return sockets_; }

 private:
  std::optional<PacketSocketRows> rows_;
  std::map<uint32_t, PacketSocketFacts> sockets_;
};

// What stands in its way; nothing when it can be dumped. Pure.
std::optional<WhyNotText> WhyNotPacket(const PacketSocketFacts& facts, const InetPolicy& policy);

// Its entry. `net_namespace`: its number in the images.
image::packet_sock_entry PacketEntry(const PacketSocketFacts& facts, const SocketFile& file,
                                     uint32_t net_namespace);

}  // namespace dumpctl

#endif  // DUMP_SK_PACKET_SOCKETS_H_
