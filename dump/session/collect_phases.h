#ifndef DUMP_SESSION_COLLECT_PHASES_H_
#define DUMP_SESSION_COLLECT_PHASES_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dump/session/dump_run.h"
#include "dump/session/frozen_facts.h"
#include "dump/session/page_tracking.h"
#include "dump/session/preflight.h"
#include "dump/session/target.h"
#include "dump/tracee/frozen_tree.h"
#include "proc/kernel_features.h"

namespace dumpctl {

// The phases in which a frozen tree is read, all but its memory, in their order.

// What there is to know of each task by itself. From here on, where this is asked for, all writes
// to their memory are watched for the next dump.
absl::StatusOr<TreeFacts> Question(const DumpRun& run, const FrozenTree& tree,
                                   PageTracking& tracking, const Target& root);

// What they hold, and which pages of it are to be written. `by_bpf`: as ReadHoldings has it.
absl::Status Collect(DumpRun& run, const FrozenTree& tree, Preflight& preflight,
                     const BpfVmFlags* by_bpf, const KernelFeatures& features,
                     PageTracking& tracking, SideFactsRead side, TreeFacts& facts);

// What tasks share is taken from them, to be written once.
absl::Status ShareOut(DumpRun& run, const FrozenTree& tree, TreeFacts& facts);

// Those of one task, besides what the report has.
void AddPages(const ScannedPages& pages, DumpReport& report);
// Pages of all tasks, as far as they are known by now.
void CountPages(const TreeFacts& facts, DumpReport& report);

}  // namespace dumpctl

#endif  // DUMP_SESSION_COLLECT_PHASES_H_
