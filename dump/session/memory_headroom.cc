#include "dump/session/memory_headroom.h"

#include <algorithm>
#include <array>
#include <span>
#include <string>
#include <string_view>

#include "dump/cg/cgroup_hierarchies.h"
#include "dump/cg/cgroup_walk.h"
#include "dumpctl/status_macros.h"
#include "dumpctl/unique_fd.h"
#include "proc/cgroup_parser.h"
#include "proc/memory_parsers.h"

namespace dumpctl {
namespace {

struct Names {
  std::string_view limit;
  std::string_view used;
};
constexpr std::array<Names, 2> kVersion2 = {
    {{"memory.max", "memory.current"}, {"memory.high", "memory.current"}}};
constexpr std::array<Names, 1> kVersion1 = {{{"memory.limit_in_bytes", "memory.usage_in_bytes"}}};

// What one cgroup has left; UINT64_MAX where it has no limit, or is the root, which has no files.
uint64_t LeftIn(BorrowedFd directory, const Names& names) {
  const auto limit = ParseMemoryAmount(ReadCgroupFile(directory, names.limit));
  const auto used = ParseMemoryAmount(ReadCgroupFile(directory, names.used));
  if (!limit.ok() || !used.ok() || *limit == UINT64_MAX) return UINT64_MAX;
  const uint64_t kept =
      *used -
      std::min(*used, ParseReclaimable(ReadCgroupFile(directory, "memory.stat")).value_or(0));
  return *limit - std::min(*limit, kept);
}

// Of the cgroup and of all above it.
uint64_t LeftAbove(CgroupHierarchies& hierarchies, const CgroupMembership& membership) {
  const bool second = membership.controllers.empty();
  const std::span<const Names> all =
      second ? std::span<const Names>(kVersion2) : std::span<const Names>(kVersion1);
  uint64_t least = UINT64_MAX;
  WalkUp(hierarchies, membership, [&](BorrowedFd directory) {
    for (const Names& names : all) least = std::min(least, LeftIn(directory, names));
  });
  return least;
}

}  // namespace

absl::StatusOr<uint64_t> MemoryHeadroom(const ProcDir& task) {
  ASSIGN_OR_RETURN(const ProcDir proc, ProcDir::OpenRoot());
  ASSIGN_OR_RETURN(const std::string meminfo, proc.Read("meminfo"));
  ASSIGN_OR_RETURN(uint64_t least, ParseMemAvailable(meminfo));
  const auto memberships = ParseCgroup(task.Read("cgroup").value_or(""));
  absl::StatusOr<CgroupHierarchies> hierarchies = CgroupHierarchies::Create("");
  if (!memberships.ok() || !hierarchies.ok()) return least;
  for (const CgroupMembership& membership : *memberships) {
    if (MayControl(membership, "memory"))
      least = std::min(least, LeftAbove(*hierarchies, membership));
  }
  return least;
}

}  // namespace dumpctl
