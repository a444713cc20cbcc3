#ifndef DUMP_CG_CGROUP_WALK_H_
#define DUMP_CG_CGROUP_WALK_H_

#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "dump/cg/cgroup_hierarchies.h"
#include "dumpctl/unique_fd.h"
#include "proc/cgroup_parser.h"

namespace dumpctl {

// Whether the hierarchy has that controller ("memory"), or is version 2, whose cgroups have some.
bool MayControl(const CgroupMembership& membership, std::string_view controller);

// Has a look at the cgroup and at all above it, as far as they show, or as ours reach: the nearest
// first. False where not even that one shows.
bool WalkUp(CgroupHierarchies& hierarchies, const CgroupMembership& membership,
            absl::FunctionRef<void(BorrowedFd directory)> look);

// One of its files, of 16 KiB at most. Empty where it cannot be read.
std::string ReadCgroupFile(BorrowedFd directory, std::string_view name);

}  // namespace dumpctl

#endif  // DUMP_CG_CGROUP_WALK_H_
