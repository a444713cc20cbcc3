#include "dump/mm/page_drainer.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "dump/image/image_directory.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

constexpr uint64_t kBufferPages = kDrainBuffer / kImagePageSize;
constexpr absl::Duration kProgressInterval = absl::Milliseconds(100);

absl::Status WriteError(int error, uint64_t total) {
  return ImageWriteError(error, absl::StrCat("memory pages (", total, " bytes)"));
}

// Writing into reserved space is faster, and a disk without room for all says so at once.
absl::Status Reserve(const PageSink& sink, uint64_t bytes) {
  if (bytes == 0) return absl::OkStatus();
  const int fd = sink.file().get();
  const auto offset = static_cast<off_t>(sink.offset());
  const auto size = static_cast<off_t>(bytes);
  if (fallocate(fd, 0, offset, size) == 0) return absl::OkStatus();
  if (errno != EOPNOTSUPP && errno != ENOSYS) return WriteError(errno, bytes);
  if (ftruncate(fd, offset + size) < 0) return WriteError(errno, bytes);
  return absl::OkStatus();
}

absl::Status Write(const PageSink& sink, std::span<const std::byte> bytes, uint64_t total) {
  auto offset = static_cast<off_t>(sink.offset());
  while (!bytes.empty()) {
    const ssize_t n = pwrite(sink.file().get(), bytes.data(), bytes.size(), offset);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return WriteError(n < 0 ? errno : EIO, total);
    bytes = bytes.subspan(static_cast<size_t>(n));
    offset += n;
  }
  return absl::OkStatus();
}

// Cuts runs into buffers full.
class Batches {
 public:
  explicit Batches(std::span<const PageRun> runs) : runs_(runs) {}

  // Empty when all have been given.
  std::span<const PageRun> Next() {
    batch_.clear();
    for (uint64_t room = kBufferPages; room > 0 && next_ < runs_.size();) {
      const PageRun& run = runs_[next_];
      const uint64_t pages = std::min(room, run.pages - taken_);
      if (pages > 0) batch_.push_back({run.start + taken_ * kImagePageSize, pages});
      room -= pages;
      taken_ += pages;
      if (taken_ < run.pages) break;
      taken_ = 0;
      ++next_;
    }
    return batch_;
  }

 private:
  std::span<const PageRun> runs_;
  size_t next_ = 0;
  uint64_t taken_ = 0;  // pages of runs_[next_]
  std::vector<PageRun> batch_;
};

uint64_t BytesOf(std::span<const PageRun> runs) {
  uint64_t bytes = 0;
  for (const PageRun& run : runs) bytes += run.bytes();
  return bytes;
}

}  // namespace

absl::Status DrainPages(const MemorySource& source, std::span<const PageRun> runs, PageSink& sink,
                        const DrainProgress& progress) {
  const uint64_t total = BytesOf(runs);
  RETURN_IF_ERROR(Reserve(sink, total));
  const auto buffer = std::make_unique_for_overwrite<std::byte[]>(kDrainBuffer);
  Batches batches(runs);
  uint64_t done = 0;
  absl::Time reported = absl::Now();
  for (auto batch = batches.Next(); !batch.empty(); batch = batches.Next()) {
    const std::span<std::byte> bytes(buffer.get(), BytesOf(batch));
    RETURN_IF_ERROR(source.Read(batch, bytes));
    RETURN_IF_ERROR(Write(sink, bytes, total));
    for (const PageRun& run : batch) sink.Account(run.start, run.pages);
    done += bytes.size();
    if (progress && absl::Now() - reported >= kProgressInterval) {
      progress(done, total);
      reported = absl::Now();
    }
  }
  if (progress) progress(done, total);
  return absl::OkStatus();
}

}  // namespace dumpctl
