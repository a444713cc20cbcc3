#ifndef DUMP_CG_CGROUP_HIERARCHIES_H_
#define DUMP_CG_CGROUP_HIERARCHIES_H_

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "dumpctl/unique_fd.h"
#include "proc/mountinfo_parser.h"

namespace dumpctl {

// The directories of cgroups: where hierarchies are mounted, or a yard that stands in for that.
class CgroupHierarchies {
 public:
  // `yard`: a directory of directories by controllers ("cpu", "devices,freezer", "systemd",
  // "unified"), as criu(8) has it; empty: the mounts that we see.
  static absl::StatusOr<CgroupHierarchies> Create(std::string yard);

  // A directory, O_PATH. `hierarchy` as /proc/PID/cgroup names it; `path` as it stands there.
  // NotFound where no mount shows it, or it is gone.
  absl::StatusOr<UniqueFd> Open(const std::string& hierarchy, std::string_view path);

 private:
  // A directory of the file system, and which cgroup it is.
  struct Root {
    UniqueFd fd;
    std::string path;
  };

  // All mounts of it.
  absl::StatusOr<std::vector<Root>> FindRoots(const std::string& hierarchy) const;

  std::string yard_;
  std::vector<Mount> mounts_;
  std::map<std::string, std::vector<Root>> roots_;
};

}  // namespace dumpctl

#endif  // DUMP_CG_CGROUP_HIERARCHIES_H_
