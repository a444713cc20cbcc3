#include "dump/mm/page_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "dump/image/output_file.h"
#include "dumpctl/trace.h"
#include "dumpctl/whole_io.h"

namespace dumpctl {
namespace {

absl::Status WriteError(int error, uint64_t total) {
  return ImageWriteError(error, absl::StrCat("memory pages (", total, " bytes)"));
}

void LeaveDirect(BorrowedFd file) {
  const int flags = fcntl(file.get(), F_GETFL);
  if ((flags & O_DIRECT) != 0) fcntl(file.get(), F_SETFL, flags & ~O_DIRECT);
}

}  // namespace

// Writing into reserved space is faster, and a disk without room for all says so at once.
absl::Status ReserveSpace(BorrowedFd file, uint64_t offset, uint64_t bytes) {
  if (bytes == 0) return absl::OkStatus();
  const auto start = static_cast<off_t>(offset);
  const auto size = static_cast<off_t>(bytes);
  // That of tmpfs ends by any signal that waits, even if none is handled: by a stop, too.
  if (Uninterrupted([&] { return fallocate(file.get(), 0, start, size); }) == 0) {
    return absl::OkStatus();
  }
  if (errno != EOPNOTSUPP && errno != ENOSYS) return WriteError(errno, bytes);
  if (ftruncate(file.get(), start + size) < 0) return WriteError(errno, bytes);
  return absl::OkStatus();
}

absl::Status ReserveSpace(const PageSink& sink, uint64_t bytes) {
  return ReserveSpace(sink.file(), sink.offset(), bytes);
}

absl::Status WritePages(BorrowedFd file, std::span<const std::byte> bytes, uint64_t offset,
                        uint64_t total) {
  const TraceSpan span(TraceKind::kPages, "write", {{"bytes", bytes.size()}, {"fd", file.get()}});
  bool left = false;
  while (!bytes.empty()) {
    const ssize_t n = pwrite(file.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    // O_DIRECT was taken, and is of another mind about alignment: the page cache has none. Another
    // thread may have found that out at the same time.
    if (n < 0 && errno == EINVAL && !std::exchange(left, true)) {
      LeaveDirect(file);
      continue;
    }
    if (n <= 0) return WriteError(n < 0 ? errno : EIO, total);
    bytes = bytes.subspan(static_cast<size_t>(n));
    offset += static_cast<uint64_t>(n);
  }
  return absl::OkStatus();
}

}  // namespace dumpctl
