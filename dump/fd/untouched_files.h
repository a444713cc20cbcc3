#ifndef DUMP_FD_UNTOUCHED_FILES_H_
#define DUMP_FD_UNTOUCHED_FILES_H_

#include <vector>

#include "absl/status/status.h"
#include "dump/fd/descriptor.h"
#include "dump/fd/file_table.h"

namespace dumpctl {

// Has `files` open nothing of what a task would notice: what it has under a lease, and what it
// watches by inotify(7) or fanotify(7). For all descriptors of a dump, before a file is added.
absl::Status LeaveUntouched(const std::vector<Descriptor>& descriptors, FileTable& files);

}  // namespace dumpctl

#endif  // DUMP_FD_UNTOUCHED_FILES_H_
