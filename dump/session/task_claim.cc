#include "dump/session/task_claim.h"

#include <sys/socket.h>

#include <cerrno>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "dump/session/holder_packets.h"

namespace dumpctl {

absl::StatusOr<UniqueFd> ClaimTask(pid_t pid, uint64_t start_time) {
  UniqueFd socket = holder::NewSocket();
  if (!socket) return absl::ErrnoToStatus(errno, "socket");
  const holder::Address address = holder::ClaimAddressOf(pid, start_time);
  if (bind(socket.get(), reinterpret_cast<const sockaddr*>(&address.name), address.size) == 0) {
    return socket;
  }
  if (errno == EADDRINUSE) {
    return absl::UnavailableError(absl::StrCat("another one tracks process ", pid));
  }
  return absl::ErrnoToStatus(errno, absl::StrCat("claiming process ", pid));
}

}  // namespace dumpctl
