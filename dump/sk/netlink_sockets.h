#ifndef DUMP_SK_NETLINK_SOCKETS_H_
#define DUMP_SK_NETLINK_SOCKETS_H_

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "dump/sk/socket_file.h"
#include "dump/sk/socket_options.h"
#include "dumpctl/resource_refusal.h"
#include "dumpctl/unique_fd.h"
#include "proto/sockets.pb.h"

namespace dumpctl {

// One netlink socket (netlink(7)), as it was read while its tasks stood still.
struct NetlinkSocketFacts {
  uint32_t protocol = 0;  // NETLINK_ROUTE...
  uint32_t port = 0;      // 0: it is not bound
  // Who it is connected to; zeros: the kernel.
  uint32_t other_port = 0;
  uint32_t other_groups = 0;
  std::vector<uint32_t> groups;  // bits, as many words as it takes
  SocketOptions options;
  std::vector<std::string_view> lost;  // options of netlink that the images have no place for
  bool received = false;               // messages wait in it
  bool error = false;                  // waits to be told
  bool foreign = false;                // it belongs to another network namespace than ours
};

// `socket` is our copy. Errors: those of getsockopt(2); none is expected of a socket.
absl::StatusOr<NetlinkSocketFacts> ReadNetlinkSocket(BorrowedFd socket);

// What stands in its way; nothing when it can be dumped. Pure.
std::optional<WhyNotText> WhyNotNetlink(const NetlinkSocketFacts& facts);

// Its entry. `net_namespace`: its number in the images.
image::netlink_sk_entry NetlinkEntry(const NetlinkSocketFacts& facts, uint32_t inode,
                                     const SocketFile& file, uint32_t net_namespace);

}  // namespace dumpctl

#endif  // DUMP_SK_NETLINK_SOCKETS_H_
