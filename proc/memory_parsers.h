#ifndef PROC_MEMORY_PARSERS_H_
#define PROC_MEMORY_PARSERS_H_

#include <cstdint>
#include <string_view>

#include "absl/status/statusor.h"

namespace dumpctl {

// All in bytes. Errors: DataLoss, quoting what is malformed.

// MemAvailable of /proc/meminfo (Linux 3.14): what can be had without swapping.
absl::StatusOr<uint64_t> ParseMemAvailable(std::string_view text);

// A file of a memory cgroup that holds one amount (memory.max, memory.limit_in_bytes,
// memory.current...). UINT64_MAX for "max", and for what version 1 has instead: the largest number
// of pages there is.
absl::StatusOr<uint64_t> ParseMemoryAmount(std::string_view text);

// inactive_file of a memory cgroup's memory.stat (version 2), or total_inactive_file (version 1):
// counted as used, and given back when it is needed. 0 where the text has neither.
absl::StatusOr<uint64_t> ParseReclaimable(std::string_view text);

}  // namespace dumpctl

#endif  // PROC_MEMORY_PARSERS_H_
