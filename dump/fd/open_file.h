#ifndef DUMP_FD_OPEN_FILE_H_
#define DUMP_FD_OPEN_FILE_H_

#include "absl/status/statusor.h"
#include "dumpctl/unique_fd.h"

namespace dumpctl {

// Whether two descriptors of ours share one open file (offset, flags and owner), as those do that
// were made from each other by dup(2), fork(2) or SCM_RIGHTS. `with_dupfd_query`:
// KernelFeature::kDupfdQuery; else kcmp(2) is asked.
//
// FailedPrecondition when the kernel has neither (CONFIG_KCMP).
absl::StatusOr<bool> ShareOpenFile(BorrowedFd a, BorrowedFd b, bool with_dupfd_query);

}  // namespace dumpctl

#endif  // DUMP_FD_OPEN_FILE_H_
