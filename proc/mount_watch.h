#ifndef PROC_MOUNT_WATCH_H_
#define PROC_MOUNT_WATCH_H_

#include <utility>

#include "absl/status/statusor.h"
#include "dumpctl/unique_fd.h"

namespace dumpctl {

// Notices when something is mounted, moved or unmounted in our mount namespace: only then can a
// path lead elsewhere whose every part is called what it was (poll(2) of /proc/PID/mountinfo).
class MountWatch {
 public:
  static absl::StatusOr<MountWatch> Start();

  // Whether anything was, since the start or the last such question.
  bool Changed() const;

 private:
  explicit MountWatch(UniqueFd mounts) : mounts_(std::move(mounts)) {}

  UniqueFd mounts_;
};

}  // namespace dumpctl

#endif  // PROC_MOUNT_WATCH_H_
