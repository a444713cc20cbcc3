#ifndef DUMP_SESSION_PROCESS_ROOM_H_
#define DUMP_SESSION_PROCESS_ROOM_H_

#include <cstdint>

#include "proc/proc_fs.h"

namespace dumpctl {

// How many processes and threads a task could start that are there for a while only, before it, or
// who shares its limits with it, could start no more of their own: what the pids controllers of its
// cgroups (version 1 or 2) have left, but for some spare ones. UINT64_MAX where nothing limits
// them; cgroups that do not show count as that.
uint64_t RoomForProcesses(const ProcDir& task);

// Whether how many its user has may be in its way as well, which RLIMIT_NPROC limits, but not for
// root (setrlimit(2)), and the kernel tells nobody: under a low one there is no room.
bool HasLowProcessLimit(const ProcDir& task);

}  // namespace dumpctl

#endif  // DUMP_SESSION_PROCESS_ROOM_H_
