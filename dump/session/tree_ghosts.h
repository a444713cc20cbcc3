#ifndef DUMP_SESSION_TREE_GHOSTS_H_
#define DUMP_SESSION_TREE_GHOSTS_H_

#include "absl/status/status.h"
#include "dump/fd/ghost_files.h"
#include "dump/session/frozen_facts.h"

namespace dumpctl {

// Saves all nameless files that the tasks of a frozen tree have open, mapped, run, or as a
// directory of theirs, and keeps those that have other names. What is to be refused is passed over:
// BuildImages names it.
absl::Status SaveGhosts(const FrozenTree& tree, TreeFacts& facts, GhostFiles& ghosts);

}  // namespace dumpctl

#endif  // DUMP_SESSION_TREE_GHOSTS_H_
