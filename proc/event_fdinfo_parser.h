#ifndef PROC_EVENT_FDINFO_PARSER_H_
#define PROC_EVENT_FDINFO_PARSER_H_

#include <cstdint>
#include <optional>
#include <string_view>

#include "absl/status/statusor.h"

namespace dumpctl {

// What /proc/PID/fdinfo/N says of an event descriptor below the head that every kind has
// (proc_pid_fdinfo(5)). Each parser takes the whole text. Errors: DataLoss, naming the field and
// quoting its line, or the whole text where there is none.

struct EventfdInfo {
  uint64_t count = 0;
  std::optional<bool> semaphore;  // Linux 6.5
};
absl::StatusOr<EventfdInfo> ParseEventfdInfo(std::string_view text);

}  // namespace dumpctl

#endif  // PROC_EVENT_FDINFO_PARSER_H_
