#include "dump/mm/held_pages.h"

#include <utility>

#include "dump/mm/page_file.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {

absl::StatusOr<bool> HeldPages::Read(const MemorySource& source, std::span<const PageRun> runs,
                                     PageSink& sink) {
  const uint64_t bytes = BytesOf(runs);
  if (held_ > 0 || bytes > memory_.size() || sink.stream() != nullptr || sink.direct())
    return false;
  RETURN_IF_ERROR(source.Read(runs, std::span(memory_).first(bytes)));
  held_ = bytes;
  file_ = sink.file();
  offset_ = sink.offset();
  for (const PageRun& run : runs) sink.Account(run.start, run.pages);
  return true;
}

absl::Status HeldPages::Write() {
  if (held_ == 0) return absl::OkStatus();
  const uint64_t bytes = std::exchange(held_, 0);
  return WritePages(file_, std::span(memory_).first(bytes), offset_, bytes);
}

}  // namespace dumpctl
