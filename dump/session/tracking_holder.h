#ifndef DUMP_SESSION_TRACKING_HOLDER_H_
#define DUMP_SESSION_TRACKING_HOLDER_H_

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <span>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dump/session/target.h"
#include "dump/session/tracked_tree.h"
#include "dumpctl/unique_fd.h"

namespace dumpctl {

// What tells one process from another that has its pid later: the inode of its pidfd (pidfs, Linux
// 6.9).
absl::StatusOr<uint64_t> IdentityOf(BorrowedFd pidfd);

// Writes are watched as long as a descriptor is open, and between one dump and the next some
// process has to have it open: the holder. Soft-dirty bits need nobody, but what is known of them
// has to be trusted no longer than one round, which is kept in the same way. It is a child of the
// dumper that outlives it, in a session of its own, in the root directory, with no descriptor but
// those and a socket; some 100 KB of memory. It ends with the root of the tree, when somebody takes
// over what it has, or is killed; all of these end the watch of whom nobody else holds, and the
// tasks are as if there had been none.
//
// The next dump finds it by an abstract unix socket that has the root's pid and start time in its
// name, and talks to it only if it is of the same user or of root. Who runs in another network
// namespace does not find it, and is refused the dump of processes in this one anyway.
class TrackingHolder {
 public:
  // Starts it. To be called early, while there is little to copy and one thread. It waits for Keep,
  // and ends when we end before that.
  static absl::StatusOr<TrackingHolder> Start();

  TrackingHolder(TrackingHolder&&) noexcept = default;
  TrackingHolder& operator=(TrackingHolder&&) noexcept = default;

  // Hands over what is watched; from now on it is found. `pidfds` are those of `tree.tasks`, the
  // root's the first. Unavailable when another one is found for that tree.
  absl::Status Keep(const Target& root, const TrackedTree& tree,
                    std::span<const BorrowedFd> pidfds);

 private:
  explicit TrackingHolder(UniqueFd socket) : socket_(std::move(socket)) {}

  UniqueFd socket_;
};

// What a holder tells of the tree below `root`; nothing where none is found.
absl::StatusOr<std::optional<TrackedTree>> AskHolder(const Target& root);
// The same, and takes over: with the descriptors. The holder ends.
absl::StatusOr<std::optional<TrackedTree>> TakeFromHolder(const Target& root);

}  // namespace dumpctl

#endif  // DUMP_SESSION_TRACKING_HOLDER_H_
