#ifndef PROC_EVENT_FDINFO_PARSER_H_
#define PROC_EVENT_FDINFO_PARSER_H_

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace dumpctl {

// What /proc/PID/fdinfo/N says of an event descriptor below the head that every kind has
// (proc_pid_fdinfo(5)). Each parser takes that, or the whole text. Errors: DataLoss, naming the
// field and quoting its line, or the whole text where there is none.

struct EventfdInfo {
  uint64_t count = 0;
  std::optional<bool> semaphore;  // Linux 6.5
};
absl::StatusOr<EventfdInfo> ParseEventfdInfo(std::string_view text);

struct TimerfdInfo {
  int clock_id = 0;            // CLOCK_...
  uint64_t ticks = 0;          // expiries that were not read
  uint32_t settime_flags = 0;  // TFD_TIMER_..., of the last timerfd_settime(2)
  absl::Duration value;        // left until the next expiry, of absolute timers too; 0: disarmed
  absl::Duration interval;     // 0: not periodic
};
absl::StatusOr<TimerfdInfo> ParseTimerfdInfo(std::string_view text);

struct SignalfdInfo {
  uint64_t mask = 0;  // bit 0: signal 1
};
absl::StatusOr<SignalfdInfo> ParseSignalfdInfo(std::string_view text);

struct PidfdInfo {
  bool gone = false;    // the process has ended, and nobody will wait for it any more
  pid_t pid = 0;        // 0: not in the PID namespace of who reads
  pid_t inner_pid = 0;  // in the process's own PID namespace
};
absl::StatusOr<PidfdInfo> ParsePidfdInfo(std::string_view text);

// A "tfd:" line of an epoll.
struct EpollWatch {
  int number = 0;  // the descriptor by which it was added; it may be another file's by now
  uint32_t events = 0;
  uint64_t data = 0;
  uint64_t pos = 0;  // of the file, as its inode and device are
  uint64_t inode = 0;
  uint32_t device = 0;  // as the kernel has it inside: 20 bits of minor
};
// In the kernel's order. Needs Linux 4.13.
absl::StatusOr<std::vector<EpollWatch>> ParseEpollInfo(std::string_view text);

}  // namespace dumpctl

#endif  // PROC_EVENT_FDINFO_PARSER_H_
