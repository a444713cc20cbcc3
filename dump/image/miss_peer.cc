#include "dump/image/miss_peer.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

namespace dumpctl {
namespace {

// An option of TCP's that is what the system has it to be, or less. What it is then.
int LowerOption(BorrowedFd socket, int option, int at_most) {
  int value = at_most;
  socklen_t size = sizeof value;
  getsockopt(socket.get(), IPPROTO_TCP, option, &value, &size);
  value = std::min(value, at_most);
  setsockopt(socket.get(), IPPROTO_TCP, option, &value, sizeof value);
  return value;
}

}  // namespace

absl::Status MissPeer(BorrowedFd peer) {
  // A minute in all.
  const int idle = LowerOption(peer, TCP_KEEPIDLE, 30);
  const int between = LowerOption(peer, TCP_KEEPINTVL, 10);
  const int times = LowerOption(peer, TCP_KEEPCNT, 3);
  // While something that was sent is not acknowledged, it does not ask, and tries that for longer.
  const int milliseconds = 1000 * (idle + between * times);
  const int on = 1;
  if (setsockopt(peer.get(), IPPROTO_TCP, TCP_USER_TIMEOUT, &milliseconds, sizeof milliseconds) <
          0 ||
      setsockopt(peer.get(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on) < 0) {
    return absl::ErrnoToStatus(errno, "having a connection watched");
  }
  return absl::OkStatus();
}

}  // namespace dumpctl
