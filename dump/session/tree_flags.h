#ifndef DUMP_SESSION_TREE_FLAGS_H_
#define DUMP_SESSION_TREE_FLAGS_H_

#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dump/session/dump_run.h"
#include "dump/session/frozen_facts.h"
#include "dump/session/preflight.h"
#include "dump/session/tree_mappings.h"
#include "dump/tracee/frozen_tree.h"
#include "proc/bpf_vm_flags.h"
#include "proc/kernel_features.h"

namespace dumpctl {

// What preflight has had loaded, and keeps. Null where smaps is to be read.
const BpfVmFlags* FlagsByBpf(const DumpRun& run, const Preflight& preflight);

// Those of all tasks: what `later` gives or, where it is not valid, what came with their mappings.
absl::StatusOr<std::vector<ReadFlags>> FlagsOf(ReadFlagsLater& later, TreeFacts& facts);

// Enters them into the mappings of all tasks, which still stand.
absl::Status LearnFlags(const DumpRun& run, const KernelFeatures& features, const FrozenTree& tree,
                        absl::StatusOr<std::vector<ReadFlags>> read, TreeFacts& facts);

}  // namespace dumpctl

#endif  // DUMP_SESSION_TREE_FLAGS_H_
