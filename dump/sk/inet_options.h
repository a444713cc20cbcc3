#ifndef DUMP_SK_INET_OPTIONS_H_
#define DUMP_SK_INET_OPTIONS_H_

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "dumpctl/unique_fd.h"
#include "proto/sockets.pb.h"

namespace dumpctl {

struct InetSocketType {
  int family = 0;    // AF_INET, AF_INET6
  int type = 0;      // SOCK_STREAM, SOCK_DGRAM
  int protocol = 0;  // IPPROTO_TCP...

  friend auto operator<=>(const InetSocketType&, const InetSocketType&) = default;
};

// Options of one internet socket (ip(7), ipv6(7), tcp(7), udp(7)), but for those of socket(7).
struct InetOptions {
  image::ip_opts_entry ip;
  image::tcp_opts_entry tcp;
  std::optional<bool> v6only;  // of AF_INET6
  bool corked = false;         // UDP_CORK
  // Names of options that a program has set, and that the images have no place for
  // ("TCP_USER_TIMEOUT").
  std::vector<std::string_view> lost;
  bool foreign = false;  // it belongs to another network namespace than ours (Linux 5.14)
};

// Reads options, and tells those that were set by the options of new sockets of our own: what
// these start with is for sysctl(8) to say.
class InetOptionReader {
 public:
  // `socket` is our copy; `connected`: a stream that is, or was. To be asked while its tasks are
  // frozen: they set options as they run.
  //
  // Errors: those of socket(2) and getsockopt(2); none is expected of a socket.
  absl::StatusOr<InetOptions> Read(BorrowedFd socket, const InetSocketType& type, bool connected);

 private:
  // What each option that the images have no place for says of a new socket, in their order.
  absl::StatusOr<const std::vector<std::string>*> DefaultsOf(const InetSocketType& type);

  std::map<InetSocketType, std::vector<std::string>> defaults_;
};

}  // namespace dumpctl

#endif  // DUMP_SK_INET_OPTIONS_H_
