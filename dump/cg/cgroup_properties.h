#ifndef DUMP_CG_CGROUP_PROPERTIES_H_
#define DUMP_CG_CGROUP_PROPERTIES_H_

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace dumpctl {

// Names of a cgroup's files that are saved, in the order in which a restore writes them.
struct CgroupProperties {
  using ByController = std::map<std::string, std::vector<std::string>, std::less<>>;

  // Of hierarchies of version 1. At first those that criu(8) saves.
  ByController version_1;
  // Of version 2, whose controllers a restore does not enable: only what was asked for.
  ByController version_2;
};

CgroupProperties DefaultCgroupProperties();

// With what a text asks for, in the form that criu(8) has for --cgroup-props:
//
//   "controller":
//    - "strategy": "merge"
//    - "properties": ["a", "b"]
//
// for each controller, or "replace". Errors: DataLoss, quoting the line.
absl::StatusOr<CgroupProperties> AddCgroupProperties(CgroupProperties properties,
                                                     std::string_view text);

}  // namespace dumpctl

#endif  // DUMP_CG_CGROUP_PROPERTIES_H_
