#ifndef DUMP_SESSION_PRE_COPIED_TASK_H_
#define DUMP_SESSION_PRE_COPIED_TASK_H_

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "dump/image/image_writer.h"
#include "dump/image/page_run.h"
#include "dump/image/page_sink.h"
#include "dump/mm/page_drainer.h"
#include "dump/mm/page_split.h"
#include "dump/mm/self_writer.h"
#include "dump/mm/write_watch.h"
#include "dump/session/copy_guardian.h"
#include "dump/session/target.h"
#include "dump/session/writer_along.h"
#include "dump/tracee/frozen_task.h"
#include "dump/tracee/interrupted_calls.h"
#include "proc/kernel_features.h"
#include "proc/pagemap.h"
#include "proc/proc_fs.h"

namespace dumpctl {

// How often a process stood, and how long at most.
struct Stops {
  size_t times = 0;
  absl::Duration longest;
};

// How long a process is waited for until it stands, and what is asked meanwhile: an error of that
// ends it.
struct StopTerms {
  absl::Duration timeout;
  std::function<absl::Status()> may_go_on = {};
  Stops* stops = nullptr;  // where they are counted
};

// One process whose anonymous memory is written into parent images while it runs, with its writes
// watched (WriteWatch), so that in the freeze it is known what of them is right still.
//
// Pages are protected while it runs, and read after it has stood still for a moment once more:
// what a system call under way (O_DIRECT) still put into memory, past the page tables and so
// unseen, is there by then, and each that begins later is seen. Not so what is asked for by
// io_submit(2) or io_uring(7), for which no stop waits: there it is given up.
class PreCopiedTask {
 public:
  // Mappings of anonymous memory that have `least` bytes in pages that are mapped one by one, of a
  // process that runs. Those of huge pages are as fast to copy as a hundredth of them. None where
  // `worth` is more than all of them have.
  static absl::StatusOr<std::vector<AddressRange>> MappingsWorth(const Target& target,
                                                                 const KernelFeatures& features,
                                                                 uint64_t worth);

  // Lets writes to these mappings be watched from now on. The process stands for that,
  // which is given up by `terms`.
  static absl::StatusOr<PreCopiedTask> Watch(const Target& target,
                                             std::vector<AddressRange> mappings,
                                             const KernelFeatures& features,
                                             const StopTerms& terms);

  PreCopiedTask(PreCopiedTask&&) noexcept = default;
  // Ends the watch.
  ~PreCopiedTask() { End(); }

  pid_t pid() const { return pid_; }

  // Writes what these mappings have, to the file that `sinks` begins: one, or two that are written
  // at the same time, where the first is of the parent images of the other's. `guardian`: null
  // where no process may be made that writes by itself. Errors: the files are of no use. Aborted:
  // the process goes on as it is, and nothing of it can be written beforehand.
  absl::Status Write(std::vector<PageSink> sinks, CopyGuardian* guardian, const StopTerms& terms,
                     const DrainProgress& progress);
  // By how many bytes what stands in the images lags behind.
  absl::StatusOr<uint64_t> Lag();
  // Writes these, into images whose parent images those before become. Errors: as of Write.
  absl::Status CatchUp(PageSink sink, const StopTerms& terms, const DrainProgress& progress);

  // How it was stopped, up to now.
  const InterruptedCalls& calls() const { return calls_; }
  // What the parent images hold. None where its memory is another one by now.
  std::span<const PageRun> saved() const;
  // Some of that is left to them.
  void Need() { needed_ = true; }
  // Once the task runs again.
  void End();
  // Nothing more is done with it, and what was written is of no use.
  void GiveUp();
  bool has_ended() const { return watch_ == nullptr; }

  // Of the parent images, the nearest first, when it is known what is left to them. Nothing, and no
  // pages either, where nothing is.
  absl::StatusOr<std::vector<ImageWriter>> PagemapsOfParents();
  uint64_t bytes() const;  // in all of them

 private:
  PreCopiedTask(const Target& target, std::vector<AddressRange> mappings,
                const KernelFeatures& features)
      : features_(features),
        pid_(target.pid),
        start_time_(target.stat.start_time),
        dir_(target.dir),
        mappings_(std::move(mappings)) {}

  // What was written to since it was protected last. `protect`: once more.
  absl::StatusOr<std::vector<AddressRange>> FindWritten(bool protect);
  // Freezes it, if it is still the one that was found, and lets it go on.
  absl::Status WithFrozen(const StopTerms& terms,
                          absl::FunctionRef<absl::Status(const FrozenTask& task)> deed);
  // Protects what was written, so that it can be read. Meanwhile it stands once, and that is done.
  absl::StatusOr<std::vector<AddressRange>> Protect(
      const StopTerms& terms, absl::FunctionRef<absl::Status(const FrozenTask& task)> deed);
  absl::Status ExpectNoRing() const;
  // `sinks`: as of Write. `writers`: as many, or too few.
  absl::Status Drain(std::span<const PageRun> runs, std::vector<PageSink> sinks,
                     std::span<const std::unique_ptr<WriterAlong>> writers,
                     const DrainProgress& progress);

  KernelFeatures features_;
  pid_t pid_;
  uint64_t start_time_;
  ProcDir dir_;
  std::vector<AddressRange> mappings_;  // ascending
  std::unique_ptr<WriteWatch> watch_;   // until End
  std::unique_ptr<Pagemap> pagemap_;
  std::vector<PageSink> sinks_;  // the nearest parent images last
  std::vector<PageRun> saved_;   // in one of them, as it was when it was read
  bool needed_ = false;          // some of them
  InterruptedCalls calls_;
};

}  // namespace dumpctl

#endif  // DUMP_SESSION_PRE_COPIED_TASK_H_
