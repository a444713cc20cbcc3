#include "dump/mm/held_pages.h"

#include <sys/mman.h>

#include <cstdlib>
#include <utility>

#include "dump/mm/page_file.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {

void HeldPages::Free::operator()(std::byte* memory) const { std::free(memory); }

HeldPages::HeldPages(uint64_t bytes) {
  if (bytes == 0 || bytes > kMost) return;
  const uint64_t size = (bytes + kImagePageSize - 1) / kImagePageSize * kImagePageSize;
  memory_.reset(static_cast<std::byte*>(std::aligned_alloc(kImagePageSize, size)));
  if (!memory_) return;
  room_ = size;
  // Linux 5.14. Where it fails the pages come one by one.
  (void)madvise(memory_.get(), size, MADV_POPULATE_WRITE);
}

absl::StatusOr<bool> HeldPages::Read(const MemorySource& source, std::span<const PageRun> runs,
                                     PageSink& sink) {
  const uint64_t bytes = BytesOf(runs);
  if (held_ > 0 || bytes > room_ || sink.stream() != nullptr || sink.direct()) return false;
  RETURN_IF_ERROR(source.Read(runs, std::span(memory_.get(), bytes)));
  held_ = bytes;
  file_ = sink.file();
  offset_ = sink.offset();
  for (const PageRun& run : runs) sink.Account(run.start, run.pages);
  return true;
}

absl::Status HeldPages::Write() {
  if (held_ == 0) return absl::OkStatus();
  const uint64_t bytes = std::exchange(held_, 0);
  return WritePages(file_, std::span(memory_.get(), bytes), offset_, bytes);
}

}  // namespace dumpctl
