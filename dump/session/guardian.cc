#include "dump/session/guardian.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace dumpctl {
namespace {

[[noreturn]] void WaitForEnd(int parent, void (*deed)(void*), void* argument) {
  pollfd end = {.fd = parent, .events = POLLIN, .revents = 0};
  while (poll(&end, 1, -1) < 0 && errno == EINTR) {
  }
  deed(argument);
  _exit(0);
}

pid_t CloneWithFiles() {
  return static_cast<pid_t>(
      syscall(SYS_clone, CLONE_FILES | SIGCHLD, nullptr, nullptr, nullptr, nullptr));
}

}  // namespace

absl::Status Guardian::Start(void (*deed)(void* argument), void* argument) {
  return StartAs(CloneWithFiles, deed, argument);
}

absl::Status Guardian::StartApart(void (*deed)(void* argument), void* argument) {
  return StartAs(fork, deed, argument);
}

absl::Status Guardian::StartAs(pid_t (*make)(), void (*deed)(void* argument), void* argument) {
  self_.Reset(static_cast<int>(syscall(SYS_pidfd_open, getpid(), 0)));
  if (!self_) return absl::ErrnoToStatus(errno, "pidfd_open of this process");
  // It shall be ended by us alone, not by ^C. The mask is inherited.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t pid = make();
  if (pid == 0) WaitForEnd(self_.get(), deed, argument);
  const int error = errno;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (pid < 0) return absl::ErrnoToStatus(error, "starting a guardian");
  pid_ = pid;
  return absl::OkStatus();
}

void Guardian::Dismiss() {
  const pid_t pid = std::exchange(pid_, 0);
  if (pid <= 0) return;
  kill(pid, SIGKILL);
  while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
}

}  // namespace dumpctl
