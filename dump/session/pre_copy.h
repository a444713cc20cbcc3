#ifndef DUMP_SESSION_PRE_COPY_H_
#define DUMP_SESSION_PRE_COPY_H_

#include <sys/types.h>

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "dump/session/copy_guardian.h"
#include "dump/session/destination.h"
#include "dump/session/dump_run.h"
#include "dump/session/frozen_facts.h"
#include "dump/session/kinship.h"
#include "dump/session/pre_copied_task.h"
#include "dump/session/target.h"
#include "dump/session/tree_images.h"
#include "dump/tracee/frozen_tree.h"
#include "proc/kernel_features.h"

namespace dumpctl {

// Writes the memory of large processes before the freeze, while they run, into parent images of the
// dump's own, and leaves to the freeze what they have written to since: to make a copy-on-write
// copy of them takes the kernel some 22 ms a GiB, for which they stand. Not of those that may share
// pages with others of the tree. In a dump it is the phase before the freeze.
class PreCopy {
 public:
  // `run` must outlive it.
  explicit PreCopy(DumpRun& run) : run_(run) {}

  // While the tree runs, when it was looked over. `guardian`: null where none was started. What
  // cannot be written so is left to the freeze; errors, which end the dump, are of the images, of
  // the progress that is told, and that a process is gone.
  absl::Status Run(std::span<const Target> targets, const Kinship& kinship,
                   const KernelFeatures& features, CopyGuardian* guardian,
                   Destination& destination);
  bool wrote() const { return !tasks_.empty(); }
  // Bytes of it that had been written to since, when last looked at.
  uint64_t lag() const { return lag_; }

  // In the freeze, before pages are looked for: says whose parent images are taken, what these
  // hold, and which system calls threads were in before it stopped them.
  void Tell(TreeFacts& facts) const;
  // When they are known: which of that is left to the parent images. Reports.
  void Settle(const TreeFacts& facts);

  // When the tree runs again: ends what it was watched by.
  void End();
  // Adds what the parent images need besides.
  absl::Status AddTo(TreeImages& images);

 private:
  absl::Status Watch(const Target& target, const KernelFeatures& features, uint64_t worth);
  // Of all that are watched, each into one file, or into two.
  absl::Status WriteAll(CopyGuardian* guardian, Destination& destination);
  absl::Status Write(PreCopiedTask& task, std::vector<PageSink> sinks, CopyGuardian* guardian);
  absl::Status CatchUp(Destination& destination);
  // An error, but not that a child has ended, or that a process does what cannot be watched: what
  // was written of it is dropped then.
  absl::Status Survive(absl::Status status, PreCopiedTask& task);
  StopTerms Terms() { return {run_.options.timeout, run_.options.may_go_on, &stops_}; }
  absl::StatusOr<uint64_t> Lag();
  uint64_t BytesWritten() const;

  DumpRun& run_;
  Stops stops_;
  std::vector<PreCopiedTask> tasks_;
  uint64_t lag_ = 0;
};

}  // namespace dumpctl

#endif  // DUMP_SESSION_PRE_COPY_H_
