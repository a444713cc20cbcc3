#include "proc/mount_watch.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "dumpctl/status_macros.h"
#include "proc/proc_fs.h"

namespace dumpctl {

absl::StatusOr<MountWatch> MountWatch::Start() {
  ASSIGN_OR_RETURN(const ProcDir self, ProcDir::OpenOwn());
  ASSIGN_OR_RETURN(UniqueFd mounts, self.Open("mountinfo", O_RDONLY));
  return MountWatch(std::move(mounts));
}

bool MountWatch::Changed() const {
  pollfd file = {.fd = mounts_.get(), .events = POLLPRI, .revents = 0};
  // Always readable, whatever is asked for. Who cannot be asked may have changed.
  return poll(&file, 1, 0) < 0 || (file.revents & (POLLPRI | POLLERR)) != 0;
}

}  // namespace dumpctl
