#ifndef DUMP_MM_HELD_PAGES_H_
#define DUMP_MM_HELD_PAGES_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dump/image/page_run.h"
#include "dump/image/page_sink.h"
#include "dump/mm/memory_source.h"
#include "dumpctl/unique_fd.h"

namespace dumpctl {

// The pages of one task, which are read while it stands, and written when it runs again.
class HeldPages {
 public:
  // Of the 64 MiB that all buffers may take together.
  static constexpr uint64_t kMost = 48 << 20;

  struct Room {
    uint64_t likely = 0;  // bytes; touched at once, which takes some 100 us a MB
    uint64_t spare = 0;   // behind them, touched where it is needed
  };
  // Has no room where that is more than kMost, or there is no memory.
  explicit HeldPages(Room room);

  // Reads pages of `runs`, for the place behind what `sink` holds, and accounts them there; many,
  // by two threads. False: there is no room for them, or the sink is no file that anything may be
  // written to later. Errors: MemorySource's; nothing is accounted then.
  absl::StatusOr<bool> Read(const MemorySource& source, std::span<const PageRun> runs,
                            PageSink& sink);
  // Writes what was read, into the file of that sink, which must be there still. Errors:
  // WritePages's.
  absl::Status Write();

 private:
  struct Unmap {
    size_t size;
    void operator()(std::byte* memory) const;
  };

  std::unique_ptr<std::byte, Unmap> mapping_;
  std::span<std::byte> room_;  // in it
  uint64_t held_ = 0;          // bytes at its beginning
  BorrowedFd file_{-1};
  uint64_t offset_ = 0;  // in the file
};

}  // namespace dumpctl

#endif  // DUMP_MM_HELD_PAGES_H_
