#ifndef DUMP_CG_CGROUP_WALK_H_
#define DUMP_CG_CGROUP_WALK_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "dump/cg/cgroup_hierarchies.h"
#include "dumpctl/unique_fd.h"
#include "proc/cgroup_parser.h"
#include "proc/proc_fs.h"

namespace dumpctl {

// Whether the hierarchy has that controller ("memory"), or is version 2, whose cgroups have some.
bool MayControl(const CgroupMembership& membership, std::string_view controller);

// Has a look at the cgroup and at all above it, as far as they show, or as ours reach: the nearest
// first. False where not even that one shows.
bool WalkUp(CgroupHierarchies& hierarchies, const CgroupMembership& membership,
            absl::FunctionRef<void(BorrowedFd directory)> look);

// The least of what the cgroups of a task, in hierarchies that may have that controller, and all
// above them have left of something. UINT64_MAX where none limits it, or none can be seen.
uint64_t LeastLeft(const ProcDir& task, std::string_view controller,
                   absl::FunctionRef<uint64_t(BorrowedFd directory)> left);

// A limit and what is used of it, as two files of a cgroup say.
struct CgroupLimit {
  uint64_t limit;
  uint64_t used;
};
// None where it has no limit, or is the root, which has no such files.
std::optional<CgroupLimit> ReadCgroupLimit(BorrowedFd directory, std::string_view limit,
                                           std::string_view used);

// One of its files, of 16 KiB at most. Empty where it cannot be read.
std::string ReadCgroupFile(BorrowedFd directory, std::string_view name);

}  // namespace dumpctl

#endif  // DUMP_CG_CGROUP_WALK_H_
