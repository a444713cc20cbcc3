#include "dump/session/process_room.h"

#include <sys/resource.h>

#include <algorithm>
#include <optional>

#include "dump/cg/cgroup_walk.h"
#include "dumpctl/unique_fd.h"
#include "proc/limits_parser.h"
#include "proc/status_parser.h"

namespace dumpctl {
namespace {

// Of which the processes of the cgroup start others meanwhile.
constexpr uint64_t kSpare = 16;
constexpr uint64_t kLowLimit = 1024;

uint64_t PlacesIn(BorrowedFd directory) {
  const std::optional<CgroupLimit> pids = ReadCgroupLimit(directory, "pids.max", "pids.current");
  return pids ? pids->limit - std::min(pids->limit, pids->used + kSpare) : UINT64_MAX;
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
  return HasLowLimit(task) ? 0 : LeastLeft(task, "pids", PlacesIn);
}

}  // namespace dumpctl
