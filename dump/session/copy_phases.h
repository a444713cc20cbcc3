#ifndef DUMP_SESSION_COPY_PHASES_H_
#define DUMP_SESSION_COPY_PHASES_H_

#include <sys/types.h>

#include <span>

#include "absl/status/status.h"
#include "dump/image/page_sink.h"
#include "dump/session/cgroup_freezer.h"
#include "dump/session/dump_run.h"
#include "dump/session/frozen_facts.h"
#include "dump/session/kinship.h"
#include "dump/session/snapshot.h"
#include "dump/session/target.h"
#include "dump/tracee/frozen_tree.h"
#include "proc/kernel_features.h"

namespace dumpctl {

// What a dump does with a Snapshot, before the freeze, in it, and after it. To be destroyed after
// the frozen tree.
class CopyPhases {
 public:
  // `run` must outlive it.
  explicit CopyPhases(DumpRun& run);

  // While the tree runs. Where there can be no copies, there are none; an error only where they
  // must be.
  absl::Status Prepare(std::span<const Target> targets);
  bool prepared() const { return snapshot_.prepared(); }
  // Who is to be frozen again at once cannot wait for a copy.
  bool MayTake(const CgroupFreezer& freezer) const;

  // In the freeze: says who may share pages. `targets`: those known since Prepare that are in the
  // tree still.
  void TellKin(std::span<const Target> targets, TreeFacts& facts) const;
  // Then, before pages are looked for, whose are looked for in their copies instead
  // (FrozenFacts::scanned_later). `once`: not of tasks that may share pages, which is found out
  // while all stand (FindFamilies).
  void LeaveScans(bool once, TreeFacts& facts) const;
  // With VmFlags learnt.
  absl::Status Take(const FrozenTree& tree, const KernelFeatures& features, TreeFacts& facts);

  // When the tree runs again. Finds the pages that are looked for in copies.
  absl::Status FindPages(const KernelFeatures& features, TreeFacts& facts);
  // Writes what the tree, which runs on, had in memory when it stood, and ends the copies. Nothing
  // where there are none.
  absl::Status Save(const TreeFacts& facts, std::span<PageSink> sinks);

  Snapshot& snapshot() { return snapshot_; }
  // As Prepare found it.
  const Kinship& kinship() const { return kinship_; }
  // What Save could not put back.
  const absl::Status& left() const { return left_; }

 private:
  DumpRun& run_;
  Snapshot snapshot_;
  Kinship kinship_;  // by preflight
  absl::Status left_;
};

}  // namespace dumpctl

#endif  // DUMP_SESSION_COPY_PHASES_H_
