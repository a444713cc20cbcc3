#include "dump/session/peek_guardian.h"

#include <sys/mman.h>
#include <sys/socket.h>

#include <cerrno>
#include <new>

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

PeekGuardian::~PeekGuardian() {
  guardian_.Dismiss();
  if (peeked_ != nullptr) munmap(peeked_, sizeof *peeked_);
}

absl::Status PeekGuardian::Start() {
  if (guardian_.started()) return absl::OkStatus();
  if (peeked_ != nullptr) munmap(peeked_, sizeof *peeked_);  // of a start that failed
  void* shared =
      mmap(nullptr, sizeof *peeked_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) {
    peeked_ = nullptr;
    return absl::ErrnoToStatus(errno, "memory for the guardian");
  }
  peeked_ = new (shared) std::atomic<int>(-1);
  return guardian_.Start(ForgetPeeked, peeked_);
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
