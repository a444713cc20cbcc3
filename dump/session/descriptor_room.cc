#include "dump/session/descriptor_room.h"

#include <fcntl.h>
#include <sys/resource.h>

#include <algorithm>

#include "dumpctl/unique_fd.h"

namespace dumpctl {

void ReserveDescriptors(size_t count) {
  rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return;
  const rlim_t wanted = std::min<rlim_t>(count, limit.rlim_cur);
  if (wanted == 0) return;
  const UniqueFd any(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!any) return;
  // It goes at once, and the table stays as large.
  const UniqueFd farthest(fcntl(any.get(), F_DUPFD_CLOEXEC, static_cast<int>(wanted) - 1));
}

}  // namespace dumpctl
