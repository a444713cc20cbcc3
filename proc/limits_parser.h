#ifndef PROC_LIMITS_PARSER_H_
#define PROC_LIMITS_PARSER_H_

#include <sys/resource.h>

#include <array>
#include <cstdint>
#include <string_view>

#include "absl/status/statusor.h"

namespace dumpctl {

// One resource limit; RLIM_INFINITY where the text says "unlimited".
struct Rlimit {
  uint64_t soft = RLIM_INFINITY;
  uint64_t hard = RLIM_INFINITY;
  friend bool operator==(const Rlimit&, const Rlimit&) = default;
};

// By RLIMIT_* number.
using Rlimits = std::array<Rlimit, RLIM_NLIMITS>;

// /proc/PID/limits (proc_pid_limits(5)), which unlike prlimit(2) needs no CAP_SYS_RESOURCE.
absl::StatusOr<Rlimits> ParseLimits(std::string_view text);

}  // namespace dumpctl

#endif  // PROC_LIMITS_PARSER_H_
