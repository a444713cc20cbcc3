#ifndef PROC_STATUS_PARSER_H_
#define PROC_STATUS_PARSER_H_

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace dumpctl {

// The four ids of proc_pid_status(5)'s Uid and Gid lines.
struct IdSet {
  uint32_t real = 0;
  uint32_t effective = 0;
  uint32_t saved = 0;
  uint32_t filesystem = 0;
  friend bool operator==(const IdSet&, const IdSet&) = default;
};

// /proc/PID/status and /proc/PID/task/TID/status. Lines that a dump does not use are passed over:
// kernels add new ones all the time.
struct TaskStatus {
  std::string name;  // as the kernel escapes it
  char state = 0;
  pid_t tgid = 0;
  pid_t pid = 0;
  pid_t ppid = 0;
  pid_t tracer_pid = 0;
  IdSet uid;
  IdSet gid;
  std::vector<uint32_t> groups;
  std::vector<pid_t> ns_pids;         // NSpid, outermost namespace first (Linux 4.1)
  std::optional<uint32_t> umask;      // Linux 4.7; zombies have none
  std::optional<bool> kernel_thread;  // Kthread (Linux 6.10)
  // KiB; whoever has no memory has none. The kernel counts pages near enough, page tables of all
  // levels (VmPTE) exactly.
  uint64_t resident = 0;         // VmRSS, the sum of the next three (Linux 4.5)
  uint64_t anonymous = 0;        // RssAnon: copies of a file's pages, too
  uint64_t resident_files = 0;   // RssFile
  uint64_t resident_shared = 0;  // RssShmem
  uint64_t swapped = 0;          // VmSwap
  uint64_t page_tables = 0;
  uint32_t threads = 0;
  // Signal masks, bit 0 = signal 1.
  uint64_t pending = 0;
  uint64_t shared_pending = 0;
  uint64_t blocked = 0;
  uint64_t ignored = 0;
  uint64_t caught = 0;
  // Capability sets, bit n = capability n.
  uint64_t cap_inheritable = 0;
  uint64_t cap_permitted = 0;
  uint64_t cap_effective = 0;
  uint64_t cap_bounding = 0;
  uint64_t cap_ambient = 0;
  bool no_new_privs = false;     // Linux 4.10
  uint32_t seccomp_mode = 0;     // 0 off, 1 strict, 2 filter
  uint32_t seccomp_filters = 0;  // Linux 5.9
  bool shadow_stack = false;     // x86_Thread_features has shstk (Linux 6.6)
};

// DataLoss that names the field and quotes its line, of a field that comes twice as well; a missing
// field is named, too.
absl::StatusOr<TaskStatus> ParseStatus(std::string_view text);

// The value of one line, as the kernel prints it; empty when there is no such line. For one who
// cannot wait for the whole text to be parsed.
std::string_view StatusValue(std::string_view text, std::string_view key);

// The name without the kernel's escapes, as prctl(PR_GET_NAME) tells it: a newline stands as "\n"
// there and a backslash as two, nothing else is changed (fs/proc/array.c). DataLoss of any other
// escape.
absl::StatusOr<std::string> TaskName(const TaskStatus& status);

}  // namespace dumpctl

#endif  // PROC_STATUS_PARSER_H_
