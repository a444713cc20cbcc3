#ifndef DUMP_SESSION_TRACKED_TREE_H_
#define DUMP_SESSION_TRACKED_TREE_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "dumpctl/unique_fd.h"

namespace dumpctl {

// How a tree's writes are told of.
enum class TrackingWay : uint32_t {
  kWriteWatch = 1,  // by a WriteWatch of each task
  kSoftDirty = 2,   // by the soft-dirty bits of each task, of which there is a SoftDirtyRecord
};

// A task whose writes are watched.
struct WatchedTask {
  pid_t pid = 0;
  uint64_t identity = 0;
  UniqueFd watch;  // WriteWatch::fd, none where it was only asked for; SoftDirtyRecord's memfd
  UniqueFd sent;   // of KeepRuns: its pages that a page server has; none where none has any
  UniqueFd claim;  // of ClaimTask, by soft-dirty bits; none where it was only asked for
};

// What is watched of a tree, since which dump.
struct TrackedTree {
  std::string run_id;  // of the dump whose images hold what is not written since
  TrackingWay way = TrackingWay::kWriteWatch;
  std::vector<WatchedTask> tasks;
};

}  // namespace dumpctl

#endif  // DUMP_SESSION_TRACKED_TREE_H_
