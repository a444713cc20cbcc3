#include "dump/session/memory_headroom.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <span>
#include <string>
#include <string_view>

#include "dump/cg/cgroup_hierarchies.h"
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

// Empty where it cannot be read.
std::string ReadSmall(BorrowedFd directory, std::string_view name) {
  const UniqueFd file(openat(directory.get(), std::string(name).c_str(), O_RDONLY | O_CLOEXEC));
  std::array<char, 16384> bytes;
  const ssize_t n = file ? read(file.get(), bytes.data(), bytes.size()) : 0;
  return n > 0 ? std::string(bytes.data(), static_cast<size_t>(n)) : std::string();
}

// What one cgroup has left; UINT64_MAX where it has no limit, or is the root, which has no files.
uint64_t LeftIn(BorrowedFd directory, const Names& names) {
  const auto limit = ParseMemoryAmount(ReadSmall(directory, names.limit));
  const auto used = ParseMemoryAmount(ReadSmall(directory, names.used));
  if (!limit.ok() || !used.ok() || *limit == UINT64_MAX) return UINT64_MAX;
  const uint64_t kept =
      *used - std::min(*used, ParseReclaimable(ReadSmall(directory, "memory.stat")).value_or(0));
  return *limit - std::min(*limit, kept);
}

bool HasMemory(const CgroupMembership& membership) {
  if (membership.controllers.empty()) return true;
  std::string_view rest = membership.controllers;
  while (!rest.empty()) {
    const size_t comma = rest.find(',');
    if (rest.substr(0, comma) == "memory") return true;
    rest.remove_prefix(comma == std::string_view::npos ? rest.size() : comma + 1);
  }
  return false;
}

// Of the cgroup and of all above it.
uint64_t LeftAbove(CgroupHierarchies& hierarchies, const CgroupMembership& membership) {
  const bool second = membership.controllers.empty();
  const std::span<const Names> all =
      second ? std::span<const Names>(kVersion2) : std::span<const Names>(kVersion1);
  uint64_t least = UINT64_MAX;
  std::string path = membership.path;
  for (;;) {
    const absl::StatusOr<UniqueFd> directory = hierarchies.Open(membership.controllers, path);
    if (!directory.ok()) return least;
    for (const Names& names : all) least = std::min(least, LeftIn(BorrowedFd(*directory), names));
    const size_t slash = path.rfind('/');
    if (path.size() <= 1 || slash == std::string::npos) return least;
    // "/" is the root, or that of our cgroup namespace, which may have limits.
    path.resize(std::max<size_t>(slash, 1));
  }
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
    if (HasMemory(membership)) least = std::min(least, LeftAbove(*hierarchies, membership));
  }
  return least;
}

}  // namespace dumpctl
