#ifndef DUMP_MM_HELD_PAGES_H_
#define DUMP_MM_HELD_PAGES_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dump/image/page_run.h"
#include "dump/image/page_sink.h"
#include "dump/mm/memory_source.h"
#include "dumpctl/unique_fd.h"

namespace dumpctl {

// The pages of one small task, which are read while it stands, and written when it runs again.
class HeldPages {
 public:
  static constexpr uint64_t kMost = 1 << 20;

  // Has room for so many bytes, touched by now; for none where that is more than kMost.
  explicit HeldPages(uint64_t bytes) : memory_(bytes <= kMost ? bytes : 0) {}

  // Reads pages of `runs`, for the place behind what `sink` holds, and accounts them there. False:
  // there is no room for them, or the sink is no file that anything may be written to later.
  // Errors: MemorySource's; nothing is accounted then.
  absl::StatusOr<bool> Read(const MemorySource& source, std::span<const PageRun> runs,
                            PageSink& sink);
  // Writes what was read, into the file of that sink, which must be there still. Errors:
  // WritePages's.
  absl::Status Write();

 private:
  std::vector<std::byte> memory_;
  uint64_t held_ = 0;  // bytes at its beginning
  BorrowedFd file_{-1};
  uint64_t offset_ = 0;  // in the file
};

}  // namespace dumpctl

#endif  // DUMP_MM_HELD_PAGES_H_
