#ifndef PROC_TIMERS_PARSER_H_
#define PROC_TIMERS_PARSER_H_

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace dumpctl {

// A POSIX timer as /proc/PID/timers tells it (proc_pid_timers(5), Linux 3.10).
struct PosixTimer {
  int id = 0;
  int clock_id = 0;  // negative for another task's CPU clock
  int signal = 0;
  int notify = 0;  // SIGEV_SIGNAL, _NONE, _THREAD_ID; _THREAD only of programs without a libc
  uint64_t sigev_value = 0;       // sival_ptr
  std::optional<int> notify_tid;  // SIGEV_THREAD_ID: which, as the reader's pid namespace has it
  friend bool operator==(const PosixTimer&, const PosixTimer&) = default;
};

// In the order of the text: youngest first.
absl::StatusOr<std::vector<PosixTimer>> ParseTimers(std::string_view text);

}  // namespace dumpctl

#endif  // PROC_TIMERS_PARSER_H_
