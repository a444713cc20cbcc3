#include "dump/fd/open_file.h"

#include <fcntl.h>
#include <linux/kcmp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "dumpctl/failure.h"
#include "dumpctl/kernel_abi.h"

namespace dumpctl {

absl::StatusOr<bool> ShareOpenFile(BorrowedFd a, BorrowedFd b, bool with_dupfd_query) {
  if (with_dupfd_query) {
    const int same = fcntl(a.get(), abi::kFDupfdQuery, b.get());
    if (same < 0) return absl::ErrnoToStatus(errno, "F_DUPFD_QUERY");
    return same == 1;
  }
  const long order = syscall(SYS_kcmp, getpid(), getpid(), KCMP_FILE, a.get(), b.get());
  if (order < 0) {
    return MakeFailure(Failure::kHost, absl::StatusCode::kFailedPrecondition,
                       "the kernel does not tell which descriptors share an open file: kcmp(2) "
                       "(CONFIG_KCMP) or F_DUPFD_QUERY (Linux 6.10) is needed");
  }
  return order == 0;
}

}  // namespace dumpctl
