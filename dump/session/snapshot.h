#ifndef DUMP_SESSION_SNAPSHOT_H_
#define DUMP_SESSION_SNAPSHOT_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dump/mm/kept_pages.h"
#include "dump/mm/memory_source.h"
#include "dump/mm/self_writer.h"
#include "dump/session/copy_guardian.h"
#include "dump/session/dump_options.h"
#include "dump/session/frozen_facts.h"
#include "dump/session/self_writing.h"
#include "dump/session/target.h"
#include "dump/session/writer_beside.h"
#include "dump/tracee/frozen_tree.h"
#include "dump/tracee/process_copy.h"
#include "dump/tracee/rseq.h"
#include "proc/kernel_features.h"

namespace dumpctl {

// Copy-on-write copies of the tasks of a frozen tree, all of one instant, so that the tree can go
// on before its memory is written. A scope: at its end no copy is left, nor a zombie of one, also
// when we are killed (see CopyGuardian). To be destroyed after the frozen tree.
class Snapshot {
 public:
  explicit Snapshot(const SnapshotOptions& options) : options_(options) {}
  Snapshot(const Snapshot&) = delete;
  Snapshot& operator=(const Snapshot&) = delete;
  ~Snapshot() { End().IgnoreError(); }

  // While the tree runs, before much memory is written: whether its memory is worth a copy, and how
  // much of it there is room for. Errors mean that there are to be no copies.
  absl::Status Prepare(std::span<const Target> targets);
  bool prepared() const { return prepared_; }

  // Whether a task is to be copied by what it has in memory, whichever pages these are. They may be
  // looked for in the copy then.
  bool CopiesUnscanned(const FrozenFacts& facts) const;

  // In the freeze, with VmFlags learnt. Gives those that are not copied, each with its reason:
  // their memory is to be written in the freeze. When this returns, all tasks stand as they stood
  // before, but for their copies, and all pages are known of those that have none. Errors:
  // Failure::kTargetDied, ScanPages's.
  absl::StatusOr<std::vector<std::string>> Take(const FrozenTree& tree,
                                                const KernelFeatures& features, TreeFacts& facts);

  // All pages of a task that is scanned later, once it runs again if need be.
  absl::StatusOr<ScannedPages> FindPages(size_t task, const FrozenFacts& facts,
                                         const KernelFeatures& features) const;

  // Whether a task of the frozen tree may be so large that its memory is best written from beside
  // it. Its mappings are to be read before, and its VmFlags.
  bool MayWriteBeside() const { return may_write_beside_; }
  // See WriterBeside::Start.
  absl::StatusOr<std::unique_ptr<WriterBeside>> WriteBeside(const FrozenTask& task,
                                                            const FrozenFacts& facts,
                                                            size_t wanted);

  // Of children that we give to tasks, of which there is room for two at a time; null where there
  // is none, or no guardian was started.
  CopyGuardian* guardian() { return started_ && processes_ >= 2 ? &guardian_ : nullptr; }

  size_t copies() const { return copies_.size(); }
  // Null: not copied. By the task's place in the tree.
  const MemorySource* MemoryOf(size_t task) const {
    return task < memory_.size() ? memory_[task].get() : nullptr;
  }

  // Who writes a task's pages itself, `most` (two at most) at the same time. None: its copy is not
  // to. Once the tree runs on; the writers end before the copies do.
  SelfWriters WritersOf(size_t task, size_t most) const;

  // Ends the copies, and lets the tasks, which run by now, wait for them. An error names one that
  // could not.
  absl::Status End();

 private:
  struct Copy {
    size_t number;  // of the guardian
    ProcessCopy copy;
    size_t task;  // its place in the tree
    std::optional<RseqRegistration> rseq;
  };

  // `read_for_all`: how many bytes are read of it for all who share them.
  absl::StatusOr<std::string> TakeTask(size_t place, const FrozenTask& task,
                                       const KernelFeatures& features, uint64_t read_for_all,
                                       TreeFacts& facts);
  absl::Status CopyTask(size_t place, const FrozenTask& task, const FrozenFacts& facts,
                        std::vector<PageRun> kept_runs);

  SnapshotOptions options_;
  bool prepared_ = false;
  bool started_ = false;
  bool may_write_beside_ = false;
  uint64_t room_ = 0;       // bytes that copies may come to take
  uint64_t kept_ = 0;       // bytes that they do not have, in our memory
  uint64_t processes_ = 0;  // how many there may be
  CopyGuardian guardian_;
  std::vector<Copy> copies_;
  std::vector<std::unique_ptr<CopiedTaskMemory>> memory_;
};

}  // namespace dumpctl

#endif  // DUMP_SESSION_SNAPSHOT_H_
