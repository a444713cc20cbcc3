#ifndef DUMP_CG_FROZEN_CGROUPS_H_
#define DUMP_CG_FROZEN_CGROUPS_H_

#include <string>

#include "absl/status/statusor.h"
#include "dump/cg/cgroup_sets.h"
#include "dumpctl/resource_refusal.h"

namespace dumpctl {

// Cgroups of those whose freezer is on (version 1: freezer.state; version 2: cgroup.events, Linux
// 5.2): whoever is in there does not stop for a tracer. The refusals have no pid. `yard` as
// CgroupHierarchies has it; what no mount shows is passed over.
absl::StatusOr<ResourceRefusals> RefuseFrozenCgroups(const CgroupSets& sets,
                                                     const std::string& yard);

}  // namespace dumpctl

#endif  // DUMP_CG_FROZEN_CGROUPS_H_
