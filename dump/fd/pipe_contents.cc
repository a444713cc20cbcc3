#include "dump/fd/pipe_contents.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "absl/strings/str_cat.h"
#include "dumpctl/failure.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

// Larger than any packet, which is a page at most.
constexpr size_t kReadSize = 64 * 1024;

}  // namespace

absl::StatusOr<TeedPipe> TeePipe(BorrowedFd readable) {
  TeedPipe teed;
  const int capacity = fcntl(readable.get(), F_GETPIPE_SZ);
  if (capacity < 0) return absl::ErrnoToStatus(errno, "F_GETPIPE_SZ");
  teed.capacity = static_cast<uint32_t>(capacity);
  int bytes = 0;
  if (ioctl(readable.get(), FIONREAD, &bytes) < 0) return absl::ErrnoToStatus(errno, "FIONREAD");
  if (bytes == 0) return teed;
  int ends[2];
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0) return absl::ErrnoToStatus(errno, "pipe2");
  teed.contents.Reset(ends[0]);
  const UniqueFd write_end(ends[1]);
  // A pipe holds so many buffers, however little is in each, so ours must have as many.
  if (fcntl(write_end.get(), F_SETPIPE_SZ, capacity) < 0) {
    return MakeFailure(Failure::kHost, absl::StatusCode::kResourceExhausted,
                       absl::StrCat("cannot make a pipe of ", capacity,
                                    " bytes like the task's; raise the sysctl fs.pipe-max-size"));
  }
  const ssize_t got =
      tee(readable.get(), write_end.get(), static_cast<size_t>(bytes), SPLICE_F_NONBLOCK);
  if (got < 0) return absl::ErrnoToStatus(errno, "tee");
  if (got != bytes) {
    return absl::InternalError(
        absl::StrCat("tee gave ", got, " of the ", bytes, " bytes that stand in a pipe"));
  }
  teed.bytes = static_cast<uint32_t>(bytes);
  return teed;
}

absl::StatusOr<PipeBytes> ReadTeed(const TeedPipe& pipe) {
  PipeBytes read_out;
  if (!pipe.contents) return read_out;
  read_out.bytes.reserve(pipe.bytes);
  std::vector<char> buffer(kReadSize);
  while (read_out.bytes.size() < pipe.bytes) {
    const ssize_t got = read(pipe.contents.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return absl::ErrnoToStatus(errno, "reading what stands in a pipe");
    if (got == 0) {
      return absl::InternalError(absl::StrCat("read ", read_out.bytes.size(), " of the ",
                                              pipe.bytes, " bytes that stand in a pipe"));
    }
    read_out.bytes.append(buffer.data(), static_cast<size_t>(got));
    // Plain bytes fill the buffer unless they are the last ones.
    if (static_cast<size_t>(got) < buffer.size() && read_out.bytes.size() < pipe.bytes) {
      read_out.packets = true;
    }
  }
  return read_out;
}

}  // namespace dumpctl
