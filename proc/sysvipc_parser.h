#ifndef PROC_SYSVIPC_PARSER_H_
#define PROC_SYSVIPC_PARSER_H_

#include <sys/types.h>

#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace dumpctl {

// The System V objects of the reader's IPC namespace (sysvipc(7), proc_sysvipc(5)). Users and
// processes are as the reader's namespaces have them.
struct SysvObject {
  int32_t key = 0;  // 0: IPC_PRIVATE, and what is to be removed
  int32_t id = 0;
  uint32_t mode = 0;  // permissions; of shared memory SHM_DEST (01000) and SHM_LOCKED (02000)
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint32_t creator_uid = 0;
  uint32_t creator_gid = 0;
  friend bool operator==(const SysvObject&, const SysvObject&) = default;
};

struct SysvSegment {
  SysvObject object;
  uint64_t size = 0;  // bytes
  pid_t creator = 0;
  pid_t last = 0;         // who attached or detached it last
  uint64_t attached = 0;  // mappings of it, in all processes
  friend bool operator==(const SysvSegment&, const SysvSegment&) = default;
};

struct SysvSemaphores {
  SysvObject object;
  uint64_t count = 0;
  friend bool operator==(const SysvSemaphores&, const SysvSemaphores&) = default;
};

struct SysvQueue {
  SysvObject object;
  uint64_t bytes = 0;
  uint64_t messages = 0;
  pid_t last_sender = 0;
  pid_t last_receiver = 0;
  friend bool operator==(const SysvQueue&, const SysvQueue&) = default;
};

// The texts of /proc/sysvipc/shm, sem and msg. Errors: DataLoss, quoting the line.
absl::StatusOr<std::vector<SysvSegment>> ParseSysvSegments(std::string_view text);
absl::StatusOr<std::vector<SysvSemaphores>> ParseSysvSemaphores(std::string_view text);
absl::StatusOr<std::vector<SysvQueue>> ParseSysvQueues(std::string_view text);

}  // namespace dumpctl

#endif  // PROC_SYSVIPC_PARSER_H_
