#ifndef DUMP_FD_UNTOUCHED_FILES_H_
#define DUMP_FD_UNTOUCHED_FILES_H_

#include <vector>

#include "absl/status/status.h"
#include "dump/fd/descriptor.h"
#include "dump/fd/file_table.h"
#include "dump/fd/watched_files.h"

namespace dumpctl {

// Adds to `files` what a task would notice the opening of: what it has under a lease, and what it
// watches by inotify(7) or fanotify(7). All of this `watched` has been asked for then.
absl::Status AddUntouched(const std::vector<Descriptor>& descriptors, WatchedFiles& watched,
                          UntouchedFiles& files);

}  // namespace dumpctl

#endif  // DUMP_FD_UNTOUCHED_FILES_H_
