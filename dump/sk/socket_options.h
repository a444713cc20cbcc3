#ifndef DUMP_SK_SOCKET_OPTIONS_H_
#define DUMP_SK_SOCKET_OPTIONS_H_

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "dumpctl/resource_refusal.h"
#include "dumpctl/unique_fd.h"
#include "proto/sockets.pb.h"

namespace dumpctl {

// Options that sockets of every family may have (socket(7)). What a family has beside them is its
// own collector's.
struct SocketOptions {
  // Without tcp_keepcnt, tcp_keepidle and tcp_keepintvl.
  image::sk_opts_entry entry;
  // Names of options that a program has set, and that the images have no place for
  // ("SO_TIMESTAMP"): a restore would silently leave them off. What only tunes (busy polling, the
  // processor that packets come in on) is not among them.
  std::vector<std::string_view> lost;
};

// An option without a place in the images, and what it says when it was never set.
struct UnplacedOption {
  int option;
  std::string_view name;
  int untouched = 0;
};
std::span<const UnplacedOption> UnplacedOptions();

// `socket` is our copy. To be asked while its tasks are frozen: they set options as they run. An
// option that the family, or this kernel, does not have (EOPNOTSUPP, ENOPROTOOPT) is off.
//
// Errors: those of getsockopt(2); none is expected of a socket.
absl::StatusOr<SocketOptions> ReadSocketOptions(BorrowedFd socket);

// Takes out what a socket that is neither of unix nor of netlink has not set, and that such sockets
// do not have any more since Linux 6.16 (SO_PASSCRED, SO_PASSSEC): a restore there could not even
// leave it off.
void LeaveOutCredentials(image::sk_opts_entry& entry);

// Says that these options are lost; nothing without any. Pure.
std::optional<WhyNotText> WhyNotOptions(const std::vector<std::string_view>& lost);

// What waits in a socket, as far as it can be told without reading it.
struct SocketReadiness {
  bool received = false;  // of a socket without a stream
  bool error = false;     // to be told
};
SocketReadiness ReadReadiness(BorrowedFd socket);

// Whether `socket` belongs to another network namespace than ours. False on kernels that do not
// tell (before Linux 5.14).
absl::StatusOr<bool> IsOfOtherNetwork(BorrowedFd socket);

}  // namespace dumpctl

#endif  // DUMP_SK_SOCKET_OPTIONS_H_
