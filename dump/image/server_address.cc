#include "dump/image/server_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "dumpctl/failure.h"
#include "dumpctl/printable.h"

namespace dumpctl {

absl::StatusOr<SocketAddress> SocketAddress::Parse(const std::string& address, uint16_t port) {
  SocketAddress parsed;
  sockaddr_in four = {
      .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {}, .sin_zero = {}};
  sockaddr_in6 six = {};
  six.sin6_family = AF_INET6;
  six.sin6_port = htons(port);
  if (inet_pton(AF_INET, address.c_str(), &four.sin_addr) == 1) {
    std::memcpy(&parsed.storage_, &four, sizeof four);
  } else if (inet_pton(AF_INET6, address.c_str(), &six.sin6_addr) == 1) {
    std::memcpy(&parsed.storage_, &six, sizeof six);
  } else {
    return MakeFailure(Failure::kUsage, absl::StatusCode::kInvalidArgument,
                       absl::StrCat("--address ", Printable(address),
                                    " is no address of IPv4 or IPv6; names are not looked up"));
  }
  return parsed;
}

absl::StatusOr<SocketAddress> SocketAddress::Of(BorrowedFd socket) {
  SocketAddress bound;
  socklen_t size = sizeof bound.storage_;
  if (getsockname(socket.get(), reinterpret_cast<sockaddr*>(&bound.storage_), &size) < 0) {
    return absl::ErrnoToStatus(errno, "getsockname");
  }
  return bound;
}

uint16_t SocketAddress::port() const {
  // At the same place in both.
  static_assert(offsetof(sockaddr_in, sin_port) == offsetof(sockaddr_in6, sin6_port));
  return ntohs(reinterpret_cast<const sockaddr_in*>(&storage_)->sin_port);
}

}  // namespace dumpctl
