#ifndef PROC_STAT_PARSER_H_
#define PROC_STAT_PARSER_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace dumpctl {

// /proc/PID/stat (proc_pid_stat(5)), the fields a dump uses. The addresses are 0 for a caller that
// may not ptrace the task; arguments and environment stand there since Linux 3.5.
struct TaskStat {
  pid_t pid = 0;
  std::string comm;  // at most 15 bytes, any but NUL
  char state = 0;
  pid_t ppid = 0;
  pid_t pgrp = 0;
  pid_t session = 0;
  int32_t tty_nr = 0;       // the controlling terminal's device; 0: none
  pid_t tpgid = 0;          // the group in its foreground; -1: none
  uint32_t flags = 0;       // PF_*
  uint64_t start_time = 0;  // clock ticks after boot
  uint64_t start_code = 0;
  uint64_t end_code = 0;
  uint64_t start_stack = 0;
  uint64_t start_data = 0;
  uint64_t end_data = 0;
  uint64_t start_brk = 0;
  uint64_t arg_start = 0;
  uint64_t arg_end = 0;
  uint64_t env_start = 0;
  uint64_t env_end = 0;
  int32_t exit_signal = 0;  // that its parent gets
  int32_t exit_code = 0;    // as wait(2) gives it

  bool kernel_thread() const { return (flags & 0x00200000) != 0; }  // PF_KTHREAD
  bool zombie() const { return state == 'Z' || state == 'X'; }
};

// DataLoss that names the field.
absl::StatusOr<TaskStat> ParseStat(std::string_view text);

}  // namespace dumpctl

#endif  // PROC_STAT_PARSER_H_
