#ifndef DUMP_SESSION_WRITER_BESIDE_H_
#define DUMP_SESSION_WRITER_BESIDE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

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

// Processes beside a frozen task, with the task's very memory, that write that memory into images
// by themselves: see CopyWriter and SelfWriting. A scope: at its end they are gone, and the task
// stands as it stood. When we are killed they die, and the guardian has the task wait for them.
//
// While it is there the task has a mapping more, of ours (see RemoteSyscalls): whoever reads its
// mappings is to be done by then.
class WriterBeside {
 public:
  // From so many bytes on it is worth to be made.
  static constexpr uint64_t kWorth = 16 << 20;

  // As many as wanted, two at most, or fewer. `task` and `guardian`, which is started, must outlive
  // it. Errors, other than Failure::kTargetDied: why there is none; the task is to be read from.
  static absl::StatusOr<std::unique_ptr<WriterBeside>> Start(const FrozenTask& task,
                                                             const FrozenFacts& facts,
                                                             CopyGuardian& guardian, size_t wanted);
  WriterBeside(const WriterBeside&) = delete;
  WriterBeside& operator=(const WriterBeside&) = delete;
  ~WriterBeside() { End().IgnoreError(); }

  // Of the task, as it was without us.
  const MemorySource& memory() const { return memory_; }
  // One at least; each may write at the same time as the other.
  size_t writers() const { return processes_.back().writer ? processes_.size() : 1; }
  SelfWriter& writer(size_t i) { return *processes_[i].writer; }

  absl::Status End();

 private:
  WriterBeside(const FrozenTask& task, CopyGuardian& guardian, RemoteSyscalls calls,
               OverlaidTaskMemory memory)
      : task_(task), guardian_(guardian), calls_(std::move(calls)), memory_(std::move(memory)) {}

  struct Process {
    size_t number;  // of the guardian
    ProcessCopy process;
    std::unique_ptr<SelfWriter> writer;
  };

  absl::Status Make(uint64_t start_time, size_t wanted);
  absl::Status MakeOne(uint64_t start_time, RemoteAddress scratch, size_t size);

  const FrozenTask& task_;
  CopyGuardian& guardian_;
  RemoteSyscalls calls_;
  OverlaidTaskMemory memory_;
  std::vector<Process> processes_;
};

}  // namespace dumpctl

#endif  // DUMP_SESSION_WRITER_BESIDE_H_
