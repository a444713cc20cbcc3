#include "dump/cli/background.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

namespace dumpctl {
namespace {

constexpr int kFirstOther = STDERR_FILENO + 1;

// As the daemon does, or has done.
[[noreturn]] void EndAsItSays(pid_t daemon, BorrowedFd says) {
  char word = 0;
  ssize_t got = -1;
  do {
    got = read(says.get(), &word, 1);
  } while (got < 0 && errno == EINTR);
  if (got == 1) _exit(0);
  int status = 0;
  while (waitpid(daemon, &status, 0) < 0 && errno == EINTR) {
  }
  constexpr int kSignalled = 128;  // as shells have it
  _exit(WIFEXITED(status) ? WEXITSTATUS(status) : kSignalled + WTERMSIG(status));
}

}  // namespace

absl::StatusOr<Background> Background::Start() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0) return absl::ErrnoToStatus(errno, "pipe2");
  UniqueFd says(ends[0]);
  UniqueFd starter(ends[1]);
  // One of the standard three may be closed, and will be taken.
  if (starter.get() < kFirstOther) {
    starter.Reset(fcntl(starter.get(), F_DUPFD_CLOEXEC, kFirstOther));
    if (!starter) return absl::ErrnoToStatus(errno, "fcntl");
  }
  const pid_t daemon = fork();
  if (daemon < 0) return absl::ErrnoToStatus(errno, "fork");
  if (daemon > 0) {
    starter.Reset();
    EndAsItSays(daemon, BorrowedFd(says));
  }
  says.Reset();
  setsid();
  // What our starter has left open to us.
  const int kept = starter.get();
  if (kept > kFirstOther) close_range(kFirstOther, static_cast<unsigned>(kept) - 1, 0);
  close_range(static_cast<unsigned>(kept) + 1, ~0U, 0);
  return Background(std::move(starter));
}

absl::Status Background::Enter() {
  const int null = open("/dev/null", O_RDWR);
  if (null < 0) return absl::ErrnoToStatus(errno, "/dev/null");
  for (int fd = STDIN_FILENO; fd < kFirstOther; ++fd) {
    if (dup2(null, fd) < 0) return absl::ErrnoToStatus(errno, "dup2");
  }
  if (null >= kFirstOther) close(null);
  const UniqueFd starter = std::move(starter_);
  if (write(starter.get(), "", 1) == 1) return absl::OkStatus();
  return absl::ErrnoToStatus(errno, "the starter of the daemon");
}

}  // namespace dumpctl
