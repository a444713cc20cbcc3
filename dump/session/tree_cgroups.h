#ifndef DUMP_SESSION_TREE_CGROUPS_H_
#define DUMP_SESSION_TREE_CGROUPS_H_

#include <sys/types.h>

#include <cstdint>
#include <future>
#include <map>
#include <span>
#include <string>

#include "absl/status/statusor.h"
#include "dump/cg/cgroup_options.h"
#include "dump/session/helper.h"
#include "dump/session/target.h"
#include "dump/tracee/frozen_tree.h"
#include "dumpctl/resource_refusal.h"
#include "proto/inventory.pb.h"

namespace dumpctl {

// The cgroups of a tree.
struct TreeCgroups {
  std::map<pid_t, uint32_t> sets;  // by thread; see CgroupSets
  image::cgroup_entry entry;       // without sets where all are in the dumper's
};

// What is seen of them while the tree runs.
struct PeekedCgroups {
  std::string dumpers;  // the text of the dumper's own
  bool differ = false;  // some process is in others than the dumper
  ResourceRefusals refusals;
};
absl::StatusOr<PeekedCgroups> PeekCgroups(std::span<const Target> targets,
                                          const CgroupOptions& options);

// `dumpers`: as peeked. Cgroups are no part of what stands still: so they are read beside whatever
// else is done, by `helper`. Get before the tasks go on, who may move themselves.
std::future<absl::StatusOr<TreeCgroups>> ReadCgroupsBeside(const FrozenTree& tree,
                                                           const std::string& dumpers,
                                                           const CgroupOptions& options,
                                                           Helper& helper);

}  // namespace dumpctl

#endif  // DUMP_SESSION_TREE_CGROUPS_H_
