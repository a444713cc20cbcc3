#ifndef DUMP_SESSION_WRITER_BESIDE_H_
#define DUMP_SESSION_WRITER_BESIDE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dump/mm/kept_pages.h"
#include "dump/mm/self_writer.h"
#include "dump/session/copy_guardian.h"
#include "dump/session/frozen_facts.h"
#include "dump/tracee/frozen_task.h"
#include "dump/tracee/process_copy.h"
#include "dump/tracee/remote_syscalls.h"

namespace dumpctl {

// A process beside a frozen task, with the task's very memory, that writes that memory into images
// by itself: see CopyWriter and SelfWriting. A scope: at its end the process is gone, and the task
// stands as it stood. When we are killed it dies, and the guardian has the task wait for it.
//
// While it is there the task has a mapping more, of ours (see RemoteSyscalls): whoever reads its
// mappings is to be done by then.
class WriterBeside {
 public:
  // From so many bytes on it is worth to be made.
  static constexpr uint64_t kWorth = 16 << 20;

  // `task` and `guardian`, which is started, must outlive it. Errors, other than
  // Failure::kTargetDied: why there is none; the task is to be read from.
  static absl::StatusOr<std::unique_ptr<WriterBeside>> Start(const FrozenTask& task,
                                                             const FrozenFacts& facts,
                                                             CopyGuardian& guardian);
  WriterBeside(const WriterBeside&) = delete;
  WriterBeside& operator=(const WriterBeside&) = delete;
  ~WriterBeside() { End().IgnoreError(); }

  // Of the task, as it was without us.
  const MemorySource& memory() const { return memory_; }
  SelfWriter& writer() { return *writer_; }

  absl::Status End();

 private:
  WriterBeside(const FrozenTask& task, CopyGuardian& guardian, RemoteSyscalls calls,
               OverlaidTaskMemory memory)
      : task_(task), guardian_(guardian), calls_(std::move(calls)), memory_(std::move(memory)) {}

  absl::Status Make(uint64_t start_time);

  const FrozenTask& task_;
  CopyGuardian& guardian_;
  RemoteSyscalls calls_;
  OverlaidTaskMemory memory_;
  size_t number_ = 0;  // of the guardian
  std::optional<ProcessCopy> process_;
  std::unique_ptr<SelfWriter> writer_;
};

}  // namespace dumpctl

#endif  // DUMP_SESSION_WRITER_BESIDE_H_
