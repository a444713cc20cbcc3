#ifndef PROC_TASK_MAPS_H_
#define PROC_TASK_MAPS_H_

#include <vector>

#include "absl/status/statusor.h"
#include "dumpctl/vma.h"
#include "proc/proc_fs.h"
#include "proc/smaps_entries.h"

namespace dumpctl {

// A task's mappings as /proc/PID/maps has them. Of one that runs they may be others by then.
// Errors: ProcDir::Read's, ParseMaps's.
absl::StatusOr<std::vector<Mapping>> ReadMapsOf(const ProcDir& task);

// All entries of its smaps, piece by piece. Errors: ProcDir::ReadPieces', SmapsEntries', and those
// of `take`.
absl::Status ReadSmapsOf(const ProcDir& task, SmapsEntries::Found take);

}  // namespace dumpctl

#endif  // PROC_TASK_MAPS_H_
