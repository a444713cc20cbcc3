#include "dump/session/peek_guardian.h"

#include <sys/socket.h>

#include <cerrno>

#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

bool ForgetOffset(int socket) {
  const int off = -1;
  return setsockopt(socket, SOL_SOCKET, SO_PEEK_OFF, &off, sizeof off) == 0;
}

void ForgetPeeked(void* peeked) {
  const int socket = static_cast<std::atomic<int>*>(peeked)->load();
  if (socket >= 0) ForgetOffset(socket);
}

}  // namespace

absl::Status PeekGuardian::Start() {
  if (guardian_.started()) return absl::OkStatus();
  RETURN_IF_ERROR(peeked_.Make());
  peeked_->store(-1);
  return guardian_.Start(ForgetPeeked, peeked_.get());
}

absl::Status PeekGuardian::Guard(BorrowedFd socket, absl::FunctionRef<absl::Status()> peeking) {
  RETURN_IF_ERROR(Start());
  guardian_.WatchClosely();
  peeked_->store(socket.get());
  const absl::Status peeked = peeking();
  const bool forgotten = ForgetOffset(socket.get());
  const int error = errno;
  peeked_->store(-1);
  RETURN_IF_ERROR(peeked);
  if (!forgotten) return absl::ErrnoToStatus(error, "SO_PEEK_OFF");
  return absl::OkStatus();
}

}  // namespace dumpctl
