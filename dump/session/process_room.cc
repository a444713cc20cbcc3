#include "dump/session/process_room.h"

#include <sys/resource.h>

#include <algorithm>
#include <string>
#include <vector>

#include "dump/cg/cgroup_hierarchies.h"
#include "dump/cg/cgroup_walk.h"
#include "dumpctl/unique_fd.h"
#include "proc/cgroup_parser.h"
#include "proc/limits_parser.h"
#include "proc/memory_parsers.h"
#include "proc/status_parser.h"

namespace dumpctl {
namespace {

// Of which the processes of the cgroup start others meanwhile.
constexpr uint64_t kSpare = 16;
constexpr uint64_t kLowLimit = 1024;

uint64_t LeftIn(BorrowedFd directory) {
  const auto limit = ParseMemoryAmount(ReadCgroupFile(directory, "pids.max"));
  const auto used = ParseMemoryAmount(ReadCgroupFile(directory, "pids.current"));
  if (!limit.ok() || !used.ok() || *limit == UINT64_MAX) return UINT64_MAX;
  return *limit - std::min(*limit, *used + kSpare);
}

bool HasLowLimit(const ProcDir& task) {
  const auto status = ParseStatus(task.ReadWhole("status").value_or(""));
  const auto limits = ParseLimits(task.ReadWhole("limits").value_or(""));
  // The limit is not for root (setrlimit(2)).
  return status.ok() && status->uid.real != 0 && limits.ok() &&
         (*limits)[RLIMIT_NPROC].soft < kLowLimit;
}

}  // namespace

uint64_t RoomForProcesses(const ProcDir& task) {
  if (HasLowLimit(task)) return 0;
  const auto memberships = ParseCgroup(task.Read("cgroup").value_or(""));
  absl::StatusOr<CgroupHierarchies> hierarchies = CgroupHierarchies::Create("");
  uint64_t least = UINT64_MAX;
  if (!memberships.ok() || !hierarchies.ok()) return least;
  for (const CgroupMembership& membership : *memberships) {
    if (!MayControl(membership, "pids")) continue;
    WalkUp(*hierarchies, membership,
           [&](BorrowedFd directory) { least = std::min(least, LeftIn(directory)); });
  }
  return least;
}

}  // namespace dumpctl
