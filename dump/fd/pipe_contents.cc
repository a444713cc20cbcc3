#include "dump/fd/pipe_contents.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "dumpctl/failure.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

// A packet is never larger than a page.
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

absl::StatusOr<std::string> ReadTeed(const TeedPipe& pipe) {
  ASSIGN_OR_RETURN(Packets packets, ReadTeedPackets(pipe));
  return std::move(packets.bytes);
}

absl::StatusOr<Packets> ReadTeedPackets(const TeedPipe& pipe) {
  Packets packets;
  if (!pipe.contents) return packets;
  packets.bytes.reserve(pipe.bytes);
  std::vector<char> buffer(kReadSize);
  for (;;) {
    const ssize_t got = read(pipe.contents.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return absl::ErrnoToStatus(errno, "reading what stands in a pipe");
    if (got == 0) break;
    packets.bytes.append(buffer.data(), static_cast<size_t>(got));
    ++packets.count;
  }
  if (packets.bytes.size() != pipe.bytes) {
    return absl::InternalError(absl::StrCat("read ", packets.bytes.size(), " of the ", pipe.bytes,
                                            " bytes that stand in a pipe"));
  }
  return packets;
}

}  // namespace dumpctl
