#include "dump/mm/kept_pages.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>

#include "dump/image/page_sink.h"
#include "dumpctl/failure.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {

absl::StatusOr<KeptPages> KeptPages::Read(const MemorySource& source, std::vector<PageRun> runs) {
  KeptPages pages;
  size_t size = 0;
  for (const PageRun& run : runs) {
    pages.kept_.push_back({run, size});
    size += run.bytes();
  }
  pages.bytes_.resize(size);
  RETURN_IF_ERROR(source.Read(runs, pages.bytes_));
  return pages;
}

std::vector<KeptPages::Kept>::const_iterator KeptPages::FirstEndingAfter(
    RemoteAddress address) const {
  return std::upper_bound(kept_.begin(), kept_.end(), address,
                          [](RemoteAddress at, const Kept& kept) { return at < kept.run.end(); });
}

std::span<const std::byte> KeptPages::At(RemoteAddress address) const {
  const auto kept = FirstEndingAfter(address);
  if (kept == kept_.end() || address < kept->run.start) return {};
  const size_t skipped = address - kept->run.start;
  return std::span(bytes_).subspan(kept->offset + skipped, kept->run.bytes() - skipped);
}

RemoteAddress KeptPages::NextAfter(RemoteAddress address) const {
  const auto kept = FirstEndingAfter(address);
  return kept == kept_.end() ? RemoteAddress(UINT64_MAX) : kept->run.start;
}

void KeptPages::Zero(RemoteAddress address, uint64_t size) {
  for (const Kept& kept : kept_) {
    const RemoteAddress start = std::max(kept.run.start, address);
    const RemoteAddress end = std::min(kept.run.end(), address + size);
    if (start >= end) continue;
    std::memset(bytes_.data() + kept.offset + (start - kept.run.start), 0, end - start);
  }
}

absl::Status KeptPages::ReadRunOver(const MemorySource& below, const PageRun& run,
                                    std::span<std::byte> bytes) const {
  for (RemoteAddress at = run.start; at < run.end();) {
    const std::span<const std::byte> kept = At(at);
    size_t size = std::min(kept.size(), bytes.size());
    if (!kept.empty()) {
      std::memcpy(bytes.data(), kept.data(), size);
    } else {
      size = std::min<uint64_t>(NextAfter(at) - at, bytes.size());
      const PageRun part = {at, size / kImagePageSize};
      RETURN_IF_ERROR(below.Read(std::span(&part, 1), bytes.first(size)));
    }
    bytes = bytes.subspan(size);
    at = at + size;
  }
  return absl::OkStatus();
}

absl::Status KeptPages::ReadOver(const MemorySource& below, std::span<const PageRun> runs,
                                 std::span<std::byte> bytes) const {
  if (kept_.empty()) return below.Read(runs, bytes);
  for (const PageRun& run : runs) {
    RETURN_IF_ERROR(ReadRunOver(below, run, bytes.first(run.bytes())));
    bytes = bytes.subspan(run.bytes());
  }
  return absl::OkStatus();
}

absl::Status ExplainByKill(absl::Status status) {
  if (!absl::IsNotFound(status)) return status;
  return MakeFailure(Failure::kHost, absl::StatusCode::kResourceExhausted,
                     "the copy of a process was killed while its memory was read, for want of "
                     "memory or by somebody; dump it with --snapshot=off");
}

absl::Status CopiedTaskMemory::Read(std::span<const PageRun> runs,
                                    std::span<std::byte> bytes) const {
  return ExplainByKill(kept_.ReadOver(copy_, runs, bytes));
}

}  // namespace dumpctl
