#include "dump/session/kept_runs.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdint>

#include "dumpctl/whole_io.h"

namespace dumpctl {

absl::StatusOr<UniqueFd> KeepRuns(std::span<const PageRun> runs) {
  UniqueFd kept(memfd_create("dumpctl-sent", MFD_CLOEXEC));
  if (!kept) return absl::ErrnoToStatus(errno, "memfd_create");
  std::vector<uint64_t> numbers;
  numbers.reserve(2 * runs.size());
  for (const PageRun& run : runs) {
    numbers.push_back(run.start.value());
    numbers.push_back(run.pages);
  }
  const int error = WriteAll(BorrowedFd(kept), std::as_bytes(std::span(numbers)));
  if (error != 0) return absl::ErrnoToStatus(error, "keeping what a page server has");
  return kept;
}

absl::StatusOr<std::vector<PageRun>> ReadRuns(BorrowedFd kept) {
  struct stat stat = {};
  if (fstat(kept.get(), &stat) < 0) return absl::ErrnoToStatus(errno, "fstat");
  std::vector<uint64_t> numbers(static_cast<size_t>(stat.st_size) / sizeof(uint64_t) / 2 * 2);
  const std::span<std::byte> bytes = std::as_writable_bytes(std::span(numbers));
  if (ReadAllAt(kept, bytes, 0) != static_cast<ssize_t>(bytes.size())) {
    return absl::DataLossError("what a page server has is kept by half");
  }
  std::vector<PageRun> runs;
  runs.reserve(numbers.size() / 2);
  for (size_t i = 0; i < numbers.size(); i += 2) {
    runs.push_back({RemoteAddress(numbers[i]), numbers[i + 1]});
  }
  return runs;
}

}  // namespace dumpctl
