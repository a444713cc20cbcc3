#ifndef DUMP_SK_SOCKET_QUEUE_H_
#define DUMP_SK_SOCKET_QUEUE_H_

#include <sys/socket.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dumpctl/unique_fd.h"

namespace dumpctl {

// What waits in the queue of a unix socket, read by MSG_PEEK: nothing is taken out, and nobody who
// waits there notices.

// One packet, or of a stream a piece that ends where descriptors were sent along, or where another
// sender's bytes begin.
struct QueuedPacket {
  std::string bytes;
  std::vector<UniqueFd> files;        // SCM_RIGHTS: copies of ours
  std::optional<ucred> credentials;   // SCM_CREDENTIALS, where the receiver asked for them
  std::string source;                 // the name that its sender is bound to, as in a row's
  std::vector<int> unknown_controls;  // types of what else came along
};

// What makes a queue unfit for being read, or for being put back.
enum class QueueTrouble : uint8_t {
  kNone,
  kError,   // an error waits to be told, which any recv(2) would take away
  kUrgent,  // MSG_OOB
};

struct SocketQueue {
  std::vector<QueuedPacket> packets;
  QueueTrouble trouble = QueueTrouble::kNone;
};

// Runs `peeking`, during which SO_PEEK_OFF of the socket is not -1, so that -1 comes back whatever
// happens, even to this process.
using PeekOffsetGuard =
    absl::FunctionRef<absl::Status(BorrowedFd socket, absl::FunctionRef<absl::Status()> peeking)>;

// `socket` is our copy of a connected or datagram socket of type `type` whose SO_PEEK_OFF is -1;
// `bytes`: what its row says to wait there. Only where several packets wait, or descriptors were
// sent along a stream, SO_PEEK_OFF is needed to look past the first, and `guard` is called.
//
// Errors: ResourceExhausted when queued descriptors exceed our own RLIMIT_NOFILE.
absl::StatusOr<SocketQueue> PeekQueue(BorrowedFd socket, int type, uint32_t bytes,
                                      PeekOffsetGuard guard);

}  // namespace dumpctl

#endif  // DUMP_SK_SOCKET_QUEUE_H_
