#include "dump/cg/cgroup_walk.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "absl/status/statusor.h"
#include "proc/memory_parsers.h"

namespace dumpctl {

bool MayControl(const CgroupMembership& membership, std::string_view controller) {
  if (membership.controllers.empty()) return true;
  std::string_view rest = membership.controllers;
  while (!rest.empty()) {
    const size_t comma = rest.find(',');
    if (rest.substr(0, comma) == controller) return true;
    rest.remove_prefix(comma == std::string_view::npos ? rest.size() : comma + 1);
  }
  return false;
}

bool WalkUp(CgroupHierarchies& hierarchies, const CgroupMembership& membership,
            absl::FunctionRef<void(BorrowedFd directory)> look) {
  std::string path = membership.path;
  for (bool shown = false;; shown = true) {
    const absl::StatusOr<UniqueFd> directory = hierarchies.Open(membership.controllers, path);
    if (!directory.ok()) return shown;
    look(BorrowedFd(*directory));
    const size_t slash = path.rfind('/');
    if (path.size() <= 1 || slash == std::string::npos) return true;
    // "/" is the root, or that of our cgroup namespace, which may have limits.
    path.resize(std::max<size_t>(slash, 1));
  }
}

uint64_t LeastLeft(const ProcDir& task, std::string_view controller,
                   absl::FunctionRef<uint64_t(BorrowedFd directory)> left) {
  uint64_t least = UINT64_MAX;
  const auto memberships = ParseCgroup(task.Read("cgroup").value_or(""));
  absl::StatusOr<CgroupHierarchies> hierarchies = CgroupHierarchies::Create("");
  if (!memberships.ok() || !hierarchies.ok()) return least;
  for (const CgroupMembership& membership : *memberships) {
    if (!MayControl(membership, controller)) continue;
    WalkUp(*hierarchies, membership,
           [&](BorrowedFd directory) { least = std::min(least, left(directory)); });
  }
  return least;
}

std::optional<CgroupLimit> ReadCgroupLimit(BorrowedFd directory, std::string_view limit,
                                           std::string_view used) {
  const auto most = ParseMemoryAmount(ReadCgroupFile(directory, limit));
  if (!most.ok() || *most == UINT64_MAX) return std::nullopt;
  const auto taken = ParseMemoryAmount(ReadCgroupFile(directory, used));
  if (!taken.ok()) return std::nullopt;
  return CgroupLimit{*most, *taken};
}

std::string ReadCgroupFile(BorrowedFd directory, std::string_view name) {
  const UniqueFd file(openat(directory.get(), std::string(name).c_str(), O_RDONLY | O_CLOEXEC));
  std::array<char, 16384> bytes;
  const ssize_t n = file ? read(file.get(), bytes.data(), bytes.size()) : 0;
  return n > 0 ? std::string(bytes.data(), static_cast<size_t>(n)) : std::string();
}

}  // namespace dumpctl
