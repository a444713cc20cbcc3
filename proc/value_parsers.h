#ifndef PROC_VALUE_PARSERS_H_
#define PROC_VALUE_PARSERS_H_

#include <cstdint>
#include <string_view>

#include "absl/status/statusor.h"

namespace dumpctl {

// Files of /proc/PID that hold one number and a newline.
absl::StatusOr<int32_t> ParseOomScoreAdj(std::string_view text);  // -1000 to 1000
absl::StatusOr<uint32_t> ParseLoginuid(std::string_view text);    // 4294967295: not set

}  // namespace dumpctl

#endif  // PROC_VALUE_PARSERS_H_
