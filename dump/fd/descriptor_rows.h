#ifndef DUMP_FD_DESCRIPTOR_ROWS_H_
#define DUMP_FD_DESCRIPTOR_ROWS_H_

#include <sys/types.h>

#include <vector>

#include "absl/status/statusor.h"
#include "dump/fd/descriptor.h"
#include "dumpctl/unique_fd.h"
#include "proc/proc_fs.h"

namespace dumpctl {

// ReadDescriptors where `index` goes by BPF, all but the watches.
absl::StatusOr<std::vector<Descriptor>> ReadDescriptorRows(const ProcDir& task, pid_t pid,
                                                           BorrowedFd pidfd, OpenFileIndex& index,
                                                           std::vector<Descriptor> peeked);

}  // namespace dumpctl

#endif  // DUMP_FD_DESCRIPTOR_ROWS_H_
