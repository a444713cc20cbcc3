#ifndef PROC_AUXV_PARSER_H_
#define PROC_AUXV_PARSER_H_

#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace dumpctl {

// The auxiliary vector from the bytes of /proc/PID/auxv (proc_pid_auxv(5)) of a 64-bit task: pairs
// of key and value, without the AT_NULL pair that ends it. DataLoss when that is missing.
absl::StatusOr<std::vector<uint64_t>> ParseAuxv(std::string_view bytes);

}  // namespace dumpctl

#endif  // PROC_AUXV_PARSER_H_
