#include "dump/session/process_room.h"

#include <sys/resource.h>

#include <algorithm>
#include <optional>

#include "dump/cg/cgroup_walk.h"
#include "dumpctl/unique_fd.h"
#include "proc/limits_parser.h"

namespace dumpctl {
namespace {

// Of which the processes of the cgroup start others meanwhile.
constexpr uint64_t kSpare = 16;
constexpr uint64_t kLowLimit = 1024;

uint64_t PlacesIn(BorrowedFd directory) {
  const std::optional<CgroupLimit> pids = ReadCgroupLimit(directory, "pids.max", "pids.current");
  return pids ? pids->limit - std::min(pids->limit, pids->used + kSpare) : UINT64_MAX;
}

}  // namespace

bool HasLowProcessLimit(const ProcDir& task) {
  const auto limits = ParseLimits(task.ReadWhole("limits").value_or(""));
  return limits.ok() && (*limits)[RLIMIT_NPROC].soft < kLowLimit;
}

uint64_t RoomForProcesses(const ProcDir& task) { return LeastLeft(task, "pids", PlacesIn); }

}  // namespace dumpctl
