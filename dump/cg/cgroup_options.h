#ifndef DUMP_CG_CGROUP_OPTIONS_H_
#define DUMP_CG_CGROUP_OPTIONS_H_

#include <optional>
#include <string>
#include <vector>

#include "dump/cg/cgroup_properties.h"

namespace dumpctl {

// --cgroup-root: in hierarchies of `controller`, or in all others where it is empty, everything
// below `path` is saved, whether tasks are there or not.
struct CgroupRoot {
  std::string controller;
  std::string path;
};

// What of cgroups is saved; see dumpctl(1).
struct CgroupOptions {
  bool ignore = false;                   // --manage-cgroups=ignore: no more than who is where
  std::vector<CgroupRoot> roots;         // --cgroup-root
  std::vector<std::string> controllers;  // --cgroup-dump-controller; empty: all
  // --cgroup-props, --cgroup-props-file; none: DefaultCgroupProperties
  std::optional<CgroupProperties> properties;
  std::string yard;           // --cgroup-yard; empty: where the hierarchies are mounted
  std::string freeze_cgroup;  // --freeze-cgroup; empty: none
};

}  // namespace dumpctl

#endif  // DUMP_CG_CGROUP_OPTIONS_H_
