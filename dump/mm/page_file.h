#ifndef DUMP_MM_PAGE_FILE_H_
#define DUMP_MM_PAGE_FILE_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "absl/status/status.h"
#include "dump/image/page_sink.h"
#include "dumpctl/unique_fd.h"

namespace dumpctl {

// The file that pages go into. Errors: Failure::kNoSpace when the disk is full, and write(2)'s.

// Makes room for `bytes` behind what it holds, where the file system can, so that a full disk shows
// before anything is copied.
absl::Status ReserveSpace(const PageSink& sink, uint64_t bytes);
absl::Status ReserveSpace(BorrowedFd file, uint64_t offset, uint64_t bytes);

// Writes all of them. `total`: the bytes of which they are a part, for an error.
absl::Status WritePages(BorrowedFd file, std::span<const std::byte> bytes, uint64_t offset,
                        uint64_t total);

}  // namespace dumpctl

#endif  // DUMP_MM_PAGE_FILE_H_
