#ifndef PROC_FDINFO_PARSER_H_
#define PROC_FDINFO_PARSER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace dumpctl {

// The head of /proc/PID/fdinfo/N that every kind of descriptor has (proc_pid_fdinfo(5)).
struct FdInfo {
  uint64_t pos = 0;    // files with unsigned offsets (/proc/PID/mem) use the upper half, too
  uint32_t flags = 0;  // open(2) flags, O_CLOEXEC among them
  int mount_id = 0;    // as mountinfo has it; internal mounts (pipes, sockets) do not stand there
  std::optional<uint64_t> ino;  // Linux 5.14
  // The text of each "lock:" line (Linux 4.1): "1: POSIX  ADVISORY  WRITE 359 fe:00:4711 0 EOF".
  std::vector<std::string> locks;
  std::optional<uint32_t> terminal;  // the number of a pseudo-terminal's master (Linux 4.14)

  friend bool operator==(const FdInfo&, const FdInfo&) = default;
};

// The lines that only one kind of descriptor has (eventfd-count, tfd, inotify, Pid, ...) are passed
// over when they have the form of a field, or are an indented part of one.
//
// Errors: DataLoss, naming the field and quoting its line.
absl::StatusOr<FdInfo> ParseFdInfo(std::string_view text);

}  // namespace dumpctl

#endif  // PROC_FDINFO_PARSER_H_
