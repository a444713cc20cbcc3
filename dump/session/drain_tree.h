#ifndef DUMP_SESSION_DRAIN_TREE_H_
#define DUMP_SESSION_DRAIN_TREE_H_

#include <span>

#include "absl/status/status.h"
#include "dump/image/page_sink.h"
#include "dump/mm/held_pages.h"
#include "dump/mm/page_drainer.h"
#include "dump/session/frozen_facts.h"
#include "dump/session/snapshot.h"
#include "dump/tracee/frozen_tree.h"

namespace dumpctl {

// Writes the pages of all tasks that `snapshot` has no copy of to their sinks, which are in the
// tasks' order, and behind them those of shared memory, each object once, in the objects' order,
// and those that families of tasks share, in the families' order. Two threads work: at one task
// where it has much, else each at a task of its own. What `held` has room for, where there is one
// task alone, is to be written by that. Errors: DrainPages's.
absl::Status DrainTree(const FrozenTree& tree, const TreeFacts& facts, Snapshot& snapshot,
                       std::span<PageSink> sinks, HeldPages& held, const DrainProgress& progress);

// The same for those that it has copies of, which may run by now.
absl::Status DrainSnapshot(const TreeFacts& facts, Snapshot& snapshot, std::span<PageSink> sinks,
                           const DrainProgress& progress);

}  // namespace dumpctl

#endif  // DUMP_SESSION_DRAIN_TREE_H_
