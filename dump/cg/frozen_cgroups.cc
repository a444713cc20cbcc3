#include "dump/cg/frozen_cgroups.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "dump/cg/cgroup_hierarchies.h"
#include "dumpctl/status_macros.h"
#include "dumpctl/unique_fd.h"

namespace dumpctl {
namespace {

// What says so, and the word that says it; none where the hierarchy has no freezer.
struct Sign {
  const char* file = nullptr;
  std::string_view word;
};

Sign SignOf(const std::string& hierarchy) {
  if (hierarchy.empty()) return {"cgroup.events", "frozen 1"};
  const std::vector<std::string> controllers = ControllersOf(hierarchy);
  const bool freezes =
      std::find(controllers.begin(), controllers.end(), "freezer") != controllers.end();
  // FREEZING as well: it will stay so until it is told otherwise.
  return freezes ? Sign{"freezer.state", "FR"} : Sign{};
}

bool Says(BorrowedFd directory, const Sign& sign) {
  // The root of a hierarchy has neither file.
  const UniqueFd file(openat(directory.get(), sign.file, O_RDONLY | O_CLOEXEC));
  char text[256];
  const ssize_t size = file ? read(file.get(), text, sizeof text) : 0;
  return size > 0 && std::string_view(text, static_cast<size_t>(size)).find(sign.word) !=
                         std::string_view::npos;
}

}  // namespace

absl::StatusOr<ResourceRefusals> RefuseFrozenCgroups(const CgroupSets& sets,
                                                     const std::string& yard) {
  ResourceRefusals refusals;
  if (sets.sets().empty()) return refusals;
  ASSIGN_OR_RETURN(CgroupHierarchies hierarchies, CgroupHierarchies::Create(yard));
  for (const auto& [number, set] : sets.sets()) {
    for (const auto& [hierarchy, path] : set) {
      const Sign sign = SignOf(hierarchy);
      if (sign.file == nullptr) continue;
      const absl::StatusOr<UniqueFd> directory = hierarchies.Open(hierarchy, path);
      if (!directory.ok() || !Says(BorrowedFd(*directory), sign)) continue;
      refusals.push_back({0, absl::StrCat("cgroup ", hierarchy, ":", path),
                          "it is frozen, so that nobody in it stops to be read",
                          "thaw it, or name it to --freeze-cgroup, which leaves it frozen"});
    }
  }
  return refusals;
}

}  // namespace dumpctl
