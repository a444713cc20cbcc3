#ifndef PROC_TASK_MAPS_H_
#define PROC_TASK_MAPS_H_

#include <vector>

#include "absl/status/statusor.h"
#include "dumpctl/vma.h"
#include "proc/proc_fs.h"

namespace dumpctl {

// A task's mappings as /proc/PID/maps has them. Of one that runs they may be others by then.
// Errors: ProcDir::Read's, ParseMaps's.
absl::StatusOr<std::vector<Mapping>> ReadMapsOf(const ProcDir& task);

}  // namespace dumpctl

#endif  // PROC_TASK_MAPS_H_
