#ifndef DUMP_SESSION_MEMORY_HEADROOM_H_
#define DUMP_SESSION_MEMORY_HEADROOM_H_

#include <cstdint>
#include <string_view>

#include "absl/status/statusor.h"
#include "proc/proc_fs.h"

namespace dumpctl {

// How many bytes of memory a task could take besides what it has, before the host or a limit of one
// of its memory cgroups (version 1 or 2) stands in its way: what they have left, page cache that
// would be given back included. Errors: of reading /proc/meminfo; cgroups that do not show count as
// none.
absl::StatusOr<uint64_t> MemoryHeadroom(const ProcDir& task);

// Whether the host lends no more memory than it has (vm.overcommit_memory is 2): what a child may
// write to counts from fork(2) on as if it were. By the text of the sysctl, or of this host.
bool IsAccountedStrictly(std::string_view overcommit_memory);
absl::StatusOr<bool> IsAccountedStrictly();

}  // namespace dumpctl

#endif  // DUMP_SESSION_MEMORY_HEADROOM_H_
