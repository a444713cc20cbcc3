#ifndef DUMP_CG_CGROUP_DIRS_H_
#define DUMP_CG_CGROUP_DIRS_H_

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "dump/cg/cgroup_hierarchies.h"
#include "dump/cg/cgroup_options.h"
#include "dump/cg/cgroup_sets.h"
#include "dumpctl/resource_refusal.h"
#include "proto/inventory.pb.h"

namespace dumpctl {

// By hierarchy, the cgroups below which everything is saved: those of the sets, or the roots that
// the options name for them. None lies below another.
std::map<std::string, std::set<std::string>> CgroupsToSave(const CgroupSets& sets,
                                                           const CgroupOptions& options);

// Cgroups of those that cannot be looked at: outside of our cgroup namespace, not mounted, or not
// there. The refusals have no pid.
absl::StatusOr<ResourceRefusals> RefuseCgroups(const CgroupSets& sets,
                                               const CgroupOptions& options);

// The whole of cgroup.img: the sets, and with their properties the cgroups of CgroupsToSave and
// those below them. What is removed meanwhile is left out. Errors: of open, read.
absl::StatusOr<image::cgroup_entry> CgroupEntry(const CgroupSets& sets,
                                                const CgroupOptions& options);

}  // namespace dumpctl

#endif  // DUMP_CG_CGROUP_DIRS_H_
