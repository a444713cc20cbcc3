#ifndef DUMP_TASK_SHARED_OBJECTS_H_
#define DUMP_TASK_SHARED_OBJECTS_H_

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/statusor.h"

namespace dumpctl {

// The kernel objects that processes share which were made by clone(2) with CLONE_VM, CLONE_FILES,
// CLONE_FS or CLONE_SIGHAND, numbered over a dump: the same number is the same object.
struct ObjectIds {
  uint32_t vm = 0;
  uint32_t files = 0;
  uint32_t fs = 0;
  uint32_t sighand = 0;
  friend bool operator==(const ObjectIds&, const ObjectIds&) = default;
};

// Number 1 of each is the dumper's own, which the inventory names, so that no restore takes a
// task's for those of its parent.
inline constexpr uint32_t kDumperObject = 1;

// In the order of `pids`, numbered from kDumperObject + 1. The processes are sorted by the order
// that kcmp(2) gives, so that many of them take few questions.
//
// FailedPrecondition (Failure::kHost) for several processes on a kernel without kcmp (CONFIG_KCMP).
absl::StatusOr<std::vector<ObjectIds>> IdentifyObjects(std::span<const pid_t> pids);

// Processes in the order that kcmp(2) gives, by kind of object. An object keeps its place in it as
// long as it lives.
struct ObjectOrder {
  std::array<std::vector<pid_t>, 4> sorted;
};
// The same. Where `order` is still theirs, one question for each is enough to know that; it becomes
// theirs.
absl::StatusOr<std::vector<ObjectIds>> IdentifyObjects(std::span<const pid_t> pids,
                                                       ObjectOrder& order);

}  // namespace dumpctl

#endif  // DUMP_TASK_SHARED_OBJECTS_H_
