#ifndef DUMP_SESSION_TREE_DESCRIPTORS_H_
#define DUMP_SESSION_TREE_DESCRIPTORS_H_

#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dump/fd/open_file.h"
#include "dump/session/frozen_facts.h"

namespace dumpctl {

// What tells open files apart. None where we may have as many files open as the tasks of the tree
// have, and these are few: then a copy is kept of each.
absl::StatusOr<std::optional<OpenFileIndex>> IndexOpenFiles(const FrozenTree& tree,
                                                            const Preflight& preflight,
                                                            const TreeFacts& facts);

// Those of all tasks, a table once, with what waits in pipes, and the memfds among them. `index`
// may be null.
absl::Status ReadTreeDescriptors(const FrozenTree& tree, Preflight& preflight, OpenFileIndex* index,
                                 TreeFacts& facts);

// The memfds among the descriptors, besides those that are mapped.
absl::Status ReadMemfds(const std::vector<Descriptor>& descriptors, dev_t kernel_tmpfs,
                        TreeFacts& facts);

}  // namespace dumpctl

#endif  // DUMP_SESSION_TREE_DESCRIPTORS_H_
