#include "dump/session/memory_headroom.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "dump/cg/cgroup_walk.h"
#include "dumpctl/status_macros.h"
#include "dumpctl/unique_fd.h"
#include "proc/memory_parsers.h"

namespace dumpctl {
namespace {

struct Names {
  std::string_view limit;
  std::string_view used;
};
// Of version 2, and of 1.
constexpr std::array<Names, 3> kLimits = {{{"memory.max", "memory.current"},
                                           {"memory.high", "memory.current"},
                                           {"memory.limit_in_bytes", "memory.usage_in_bytes"}}};

uint64_t LeftIn(BorrowedFd directory) {
  uint64_t least = UINT64_MAX;
  for (const Names& names : kLimits) {
    const std::optional<CgroupLimit> memory = ReadCgroupLimit(directory, names.limit, names.used);
    if (!memory) continue;
    const uint64_t kept =
        memory->used -
        std::min(memory->used,
                 ParseReclaimable(ReadCgroupFile(directory, "memory.stat")).value_or(0));
    least = std::min(least, memory->limit - std::min(memory->limit, kept));
  }
  return least;
}

}  // namespace

absl::StatusOr<uint64_t> MemoryHeadroom(const ProcDir& task) {
  ASSIGN_OR_RETURN(const ProcDir proc, ProcDir::OpenRoot());
  ASSIGN_OR_RETURN(const std::string meminfo, proc.Read("meminfo"));
  ASSIGN_OR_RETURN(const uint64_t available, ParseMemAvailable(meminfo));
  return std::min(available, LeastLeft(task, "memory", LeftIn));
}

bool IsAccountedStrictly(std::string_view overcommit_memory) {
  return overcommit_memory.starts_with('2');
}

absl::StatusOr<bool> IsAccountedStrictly() {
  ASSIGN_OR_RETURN(const ProcDir proc, ProcDir::OpenRoot());
  ASSIGN_OR_RETURN(const std::string text, proc.ReadWhole("sys/vm/overcommit_memory"));
  return IsAccountedStrictly(text);
}

}  // namespace dumpctl
