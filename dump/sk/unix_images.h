#ifndef DUMP_SK_UNIX_IMAGES_H_
#define DUMP_SK_UNIX_IMAGES_H_

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "dump/sk/socket_file.h"
#include "dump/sk/unix_refusal.h"
#include "dump/sk/unix_sockets.h"
#include "proto/files.pb.h"
#include "proto/sockets.pb.h"

namespace dumpctl {

// Packets as sk-queues.img holds them.
struct QueueData {
  image::sk_packet_entry entry;
  std::string bytes;
};

// Turns the unix sockets of a dump into entries. Their tasks may run again, or be dead.
class UnixImages {
 public:
  // `sockets` must outlive the object. `external`: --ext-unix-sk. `net_namespace`: its number in
  // the images.
  UnixImages(const UnixSockets& sockets, bool external, uint32_t net_namespace);

  // The entry of the socket with this inode, or why there is none.
  absl::StatusOr<std::variant<image::unix_sk_entry, WhyNotText>> Entry(ino_t inode,
                                                                       const SocketFile& file);

  // Sockets beyond the dump that those of it find again by their names; all but their ids.
  std::vector<image::unix_sk_entry> External() const;

  // What waits in the queues. `queued`: the ids of the files that UnixSockets::Read gave.
  std::vector<QueueData> Queues(std::span<const uint32_t> queued) const;

 private:
  absl::Status SetName(const UnixSocketFacts& facts, image::unix_sk_entry& entry,
                       std::optional<WhyNotText>& refusal) const;

  const UnixSockets& sockets_;
  bool external_;
  uint32_t net_namespace_;
  UnixConnections connections_;
  std::map<uint32_t, uint32_t> ids_;  // by inode
};

// The same files in an order in which restores find the peer of a socket: before it.
std::vector<image::file_entry> PeersFirst(std::vector<image::file_entry> files);

}  // namespace dumpctl

#endif  // DUMP_SK_UNIX_IMAGES_H_
