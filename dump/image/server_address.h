#ifndef DUMP_IMAGE_SERVER_ADDRESS_H_
#define DUMP_IMAGE_SERVER_ADDRESS_H_

#include <sys/socket.h>

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "dumpctl/unique_fd.h"

namespace dumpctl {

// An address of IPv4 or IPv6 with its port, as system calls want it.
class SocketAddress {
 public:
  // By numbers: a static program cannot look up names. Failure::kUsage.
  static absl::StatusOr<SocketAddress> Parse(const std::string& address, uint16_t port);

  // What a socket is bound to.
  static absl::StatusOr<SocketAddress> Of(BorrowedFd socket);

  uint16_t port() const;
  int family() const { return storage_.ss_family; }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage_); }
  socklen_t size() const { return sizeof storage_; }

 private:
  sockaddr_storage storage_ = {};
};

}  // namespace dumpctl

#endif  // DUMP_IMAGE_SERVER_ADDRESS_H_
