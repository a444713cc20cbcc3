#include "dump/session/run_setup.h"

#include <fcntl.h>
#include <sys/resource.h>

#include <algorithm>
#include <climits>

#include "absl/strings/ascii.h"
#include "dumpctl/status_macros.h"
#include "dumpctl/unique_fd.h"
#include "proc/proc_fs.h"

namespace dumpctl {

void RaiseOpenFileLimit() {
  rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

void ReserveDescriptors(size_t count) {
  rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == 0) return;
  const rlim_t last = std::min<rlim_t>({count, limit.rlim_cur - 1, INT_MAX});
  const UniqueFd any(open("/", O_PATH | O_CLOEXEC));
  if (any) UniqueFd(fcntl(any.get(), F_DUPFD_CLOEXEC, static_cast<int>(last))).Reset();
}

absl::StatusOr<std::string> NewRunId() {
  ASSIGN_OR_RETURN(const ProcDir proc, ProcDir::OpenRoot());
  ASSIGN_OR_RETURN(const std::string uuid, proc.Read("sys/kernel/random/uuid"));
  return std::string(absl::StripAsciiWhitespace(uuid));
}

}  // namespace dumpctl
