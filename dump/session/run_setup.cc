#include "dump/session/run_setup.h"

#include <sys/resource.h>

#include "absl/strings/ascii.h"
#include "dumpctl/status_macros.h"
#include "proc/proc_fs.h"

namespace dumpctl {

void RaiseOpenFileLimit() {
  rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

absl::StatusOr<std::string> NewRunId() {
  ASSIGN_OR_RETURN(const ProcDir proc, ProcDir::OpenRoot());
  ASSIGN_OR_RETURN(const std::string uuid, proc.ReadWhole("sys/kernel/random/uuid"));
  return std::string(absl::StripAsciiWhitespace(uuid));
}

}  // namespace dumpctl
