#ifndef DUMP_SK_INET_IMAGES_H_
#define DUMP_SK_INET_IMAGES_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "dump/sk/inet_sockets.h"
#include "dump/sk/socket_file.h"
#include "proto/sockets.pb.h"

namespace dumpctl {

// The entry of an internet socket. `net_namespace`: its number in the images.
image::inet_sk_entry InetEntry(const InetSocketFacts& facts, uint32_t inode, const SocketFile& file,
                               uint32_t net_namespace);

}  // namespace dumpctl

#endif  // DUMP_SK_INET_IMAGES_H_
