#include "dump/session/peek_guardian.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <new>

#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

bool ForgetOffset(int socket) {
  const int off = -1;
  return setsockopt(socket, SOL_SOCKET, SO_PEEK_OFF, &off, sizeof off) == 0;
}

// Nothing but system calls: another thread may have held any lock when we were cloned.
[[noreturn]] void WaitForEnd(int parent, const std::atomic<int>& peeked) {
  pollfd end = {.fd = parent, .events = POLLIN, .revents = 0};
  while (poll(&end, 1, -1) < 0 && errno == EINTR) {
  }
  const int socket = peeked.load();
  if (socket >= 0) ForgetOffset(socket);
  _exit(0);
}

}  // namespace

PeekGuardian::~PeekGuardian() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  if (peeked_ != nullptr) munmap(peeked_, sizeof *peeked_);
}

absl::Status PeekGuardian::Start() {
  if (pid_ > 0) return absl::OkStatus();
  if (peeked_ != nullptr) munmap(peeked_, sizeof *peeked_);  // of a start that failed
  void* shared =
      mmap(nullptr, sizeof *peeked_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) return absl::ErrnoToStatus(errno, "memory for the guardian");
  peeked_ = new (shared) std::atomic<int>(-1);
  self_.Reset(static_cast<int>(syscall(SYS_pidfd_open, getpid(), 0)));
  if (!self_) return absl::ErrnoToStatus(errno, "pidfd_open of this process");
  // It shall be ended by us alone, not by ^C. The mask is inherited.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const long pid = syscall(SYS_clone, CLONE_FILES | SIGCHLD, nullptr, nullptr, nullptr, nullptr);
  if (pid == 0) WaitForEnd(self_.get(), *peeked_);
  const int error = errno;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (pid < 0) return absl::ErrnoToStatus(error, "starting the guardian of peeked sockets");
  pid_ = static_cast<pid_t>(pid);
  return absl::OkStatus();
}

absl::Status PeekGuardian::Guard(BorrowedFd socket, absl::FunctionRef<absl::Status()> peeking) {
  RETURN_IF_ERROR(Start());
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
