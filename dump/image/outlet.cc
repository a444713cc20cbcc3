#include "dump/image/outlet.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "dump/image/image_directory.h"
#include "dumpctl/failure.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

// As much as a pipe may hold by default, so that a reader has enough to do between two writes.
constexpr int kPipeSize = 1 << 20;

bool HasNoReader(int fd) {
  pollfd look = {.fd = fd, .events = POLLOUT, .revents = 0};
  return poll(&look, 1, 0) > 0 && (look.revents & POLLERR) != 0;
}

}  // namespace

absl::StatusOr<Outlet> Outlet::Open(BorrowedFd fd, std::string name, absl::Duration patience) {
  struct stat stat = {};
  if (fstat(fd.get(), &stat) < 0) return ImageWriteError(errno, name);
  UniqueFd stop(eventfd(0, EFD_CLOEXEC));
  if (!stop) return absl::ErrnoToStatus(errno, "eventfd");
  Kind kind = Kind::kFile;
  UniqueFd own;
  if (S_ISSOCK(stat.st_mode)) kind = Kind::kSocket;
  if (S_ISFIFO(stat.st_mode)) {
    // O_NONBLOCK belongs to the open file, which others may have too (a shell's): opened once more
    // it is ours alone. The pipe may be somebody else's; then it is written by pages, each of which
    // fits when poll says that something does.
    own.Reset(open(absl::StrCat("/dev/fd/", fd.get()).c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
    kind = own ? Kind::kPipe : Kind::kSharedPipe;
    // A pipe without a reader cannot be opened (ENXIO): it is told below.
    fcntl(fd.get(), F_SETPIPE_SZ, kPipeSize);
  }
  const int used = own ? own.get() : fd.get();
  Outlet outlet(kind, used, std::move(own), std::move(stop), std::move(name), patience);
  if (kind != Kind::kFile && HasNoReader(used)) return outlet.Error(EPIPE);
  return outlet;
}

ssize_t Outlet::WriteSome(std::string_view bytes) const {
  if (kind_ == Kind::kSocket) {
    return send(fd_, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  }
  const size_t most = kind_ == Kind::kSharedPipe ? PIPE_BUF : bytes.size();
  return write(fd_, bytes.data(), std::min(bytes.size(), most));
}

absl::Status Outlet::AwaitRoom() const {
  pollfd looks[] = {{.fd = fd_, .events = POLLOUT, .revents = 0},
                    {.fd = stop_.get(), .events = POLLIN, .revents = 0}};
  const int ready =
      poll(looks, std::size(looks),
           static_cast<int>(std::min<int64_t>(absl::ToInt64Milliseconds(patience_), INT_MAX)));
  if (ready < 0 && errno != EINTR) return absl::ErrnoToStatus(errno, name_);
  if (ready == 0) return StoodStill();
  if (looks[1].revents != 0) return absl::CancelledError("stopped");
  return absl::OkStatus();
}

absl::Status Outlet::Write(std::string_view bytes) {
  while (!bytes.empty()) {
    if (kind_ == Kind::kSharedPipe) RETURN_IF_ERROR(AwaitRoom());
    const ssize_t written = WriteSome(bytes);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0 && errno == EAGAIN) {
      RETURN_IF_ERROR(AwaitRoom());
      continue;
    }
    if (written < 0) return Error(errno);
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

void Outlet::Stop() {
  const uint64_t one = 1;
  (void)!write(stop_.get(), &one, sizeof one);
}

int Outlet::Untaken() const {
  if (kind_ == Kind::kFile) return 0;
  int bytes = 0;
  const int result =
      kind_ == Kind::kSocket ? ioctl(fd_, SIOCOUTQ, &bytes) : ioctl(fd_, FIONREAD, &bytes);
  return result < 0 ? 0 : bytes;
}

absl::Status Outlet::AwaitTaken(const std::function<absl::Status()>& may_go_on) {
  constexpr int kMillisecondsBetweenLooks = 2;
  absl::Time deadline = absl::Now() + patience_;
  for (int before = INT_MAX;;) {
    // A reader that has taken all may have ended since.
    const bool has_no_reader = kind_ != Kind::kFile && HasNoReader(fd_);
    const int left = Untaken();
    if (left == 0) return absl::OkStatus();
    if (has_no_reader) return Error(EPIPE);
    if (may_go_on) RETURN_IF_ERROR(may_go_on());
    if (left < before) deadline = absl::Now() + patience_;
    before = left;
    if (absl::Now() > deadline) return StoodStill();
    poll(nullptr, 0, kMillisecondsBetweenLooks);
  }
}

absl::Status Outlet::StoodStill() const {
  return MakeFailure(
      Failure::kTimeout, absl::StatusCode::kDeadlineExceeded,
      absl::StrCat("writing ", name_, ": who reads it has taken nothing for ",
                   absl::FormatDuration(patience_).c_str(),
                   ", with the processes waiting; see to the reader, or give it more time "
                   "(--timeout)"));
}

absl::Status Outlet::Error(int error) const {
  if (error != EPIPE && error != ECONNRESET) return ImageWriteError(error, name_);
  return MakeFailure(Failure::kPeer, absl::StatusCode::kFailedPrecondition,
                     absl::StrCat("writing ", name_, ": ", std::strerror(error),
                                  "; who reads it has ended before the dump was whole"));
}

}  // namespace dumpctl
