#include "dump/session/descriptor_room.h"

#include <fcntl.h>
#include <sys/resource.h>

#include <algorithm>

#include "absl/status/statusor.h"
#include "dumpctl/unique_fd.h"
#include "proc/proc_fs.h"

namespace dumpctl {

void ReserveDescriptors(size_t count) {
  rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return;
  const rlim_t wanted = std::min<rlim_t>(count, limit.rlim_cur);
  if (wanted == 0) return;
  const absl::StatusOr<ProcDir> any = ProcDir::OpenOwn();
  if (!any.ok()) return;
  // It goes at once, and the table stays as large.
  const UniqueFd farthest(fcntl(any->fd().get(), F_DUPFD_CLOEXEC, static_cast<int>(wanted) - 1));
}

}  // namespace dumpctl
