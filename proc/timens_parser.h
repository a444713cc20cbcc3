#ifndef PROC_TIMENS_PARSER_H_
#define PROC_TIMENS_PARSER_H_

#include <time.h>

#include <string_view>

#include "absl/status/statusor.h"

namespace dumpctl {

// What a time namespace adds to the clocks of the initial one (time_namespaces(7), Linux 5.6).
// tv_nsec is never negative; tv_sec may be.
struct TimensOffsets {
  timespec monotonic = {};
  timespec boottime = {};
};

// From the text of /proc/PID/timens_offsets: the namespace that the task's children will be in,
// which is its own, too, unless it has called unshare(CLONE_NEWTIME) since. DataLoss that names the
// field.
absl::StatusOr<TimensOffsets> ParseTimensOffsets(std::string_view text);

}  // namespace dumpctl

#endif  // PROC_TIMENS_PARSER_H_
