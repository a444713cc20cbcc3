#ifndef PROC_CGROUP_PARSER_H_
#define PROC_CGROUP_PARSER_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace dumpctl {

// One line of /proc/PID/cgroup (cgroups(7)): where a task stands in one hierarchy.
struct CgroupMembership {
  uint32_t hierarchy = 0;   // 0 is version 2
  std::string controllers;  // "cpu,cpuacct", "name=systemd"; empty for version 2
  // Below the hierarchy's root, or the reader's cgroup namespace, which "/../x" leads out of.
  std::string path;
  // The cgroup was removed under a zombie (version 2 alone tells). A cgroup may be named "x
  // (deleted)" as well, and looks the same.
  bool deleted = false;

  friend bool operator==(const CgroupMembership&, const CgroupMembership&) = default;
};

// In the order of the text. Errors: DataLoss, naming the field and quoting its line.
absl::StatusOr<std::vector<CgroupMembership>> ParseCgroup(std::string_view text);

}  // namespace dumpctl

#endif  // PROC_CGROUP_PARSER_H_
