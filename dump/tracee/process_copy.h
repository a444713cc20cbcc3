#ifndef DUMP_TRACEE_PROCESS_COPY_H_
#define DUMP_TRACEE_PROCESS_COPY_H_

#include <sys/types.h>

#include <cstdint>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "dump/tracee/frozen_task.h"
#include "dump/tracee/remote_syscalls.h"
#include "dumpctl/unique_fd.h"
#include "proc/proc_fs.h"

namespace dumpctl {

// A copy-on-write copy of a frozen process: its memory as it was at that instant, while the process
// itself goes on. What fork(2) leaves out (MADV_DONTFORK, MADV_WIPEONFORK) is not in it, and what
// is shared is shared.
//
// It is a child of the process that sends no signal when it ends, so that only who waits with
// __WALL or __WCLONE can see it. It shares its descriptors, and runs nothing but what it is told to
// (see CopyWriter): we hold it, and when we die it dies (PTRACE_O_EXITKILL). What is left of it
// then, and after End, is a zombie that only the process itself can be rid of: see ReapCopy. Where
// nobody does, the kernel does at its end.
class ProcessCopy {
 public:
  // Errors: those of clone(2), for limits of processes or of memory. When this returns, the process
  // stands as it stood before, but for the child.
  static absl::StatusOr<ProcessCopy> Make(const FrozenTask& task);

  // A process that is as a copy but for its memory, which is the frozen process's own: it stands
  // for as long as `calls`, of that process, are open, and their code is in that memory.
  static absl::StatusOr<ProcessCopy> MakeBeside(RemoteSyscalls& calls, const FrozenTask& task);
  // Kills it, and has the process, which stands still, wait for it.
  absl::Status EndBeside(RemoteSyscalls& calls, const FrozenTask& task);

  ProcessCopy(ProcessCopy&& other) noexcept
      : pid_(std::exchange(other.pid_, 0)),
        pid_inside_(other.pid_inside_),
        dir_(std::move(other.dir_)) {}
  ProcessCopy& operator=(ProcessCopy&&) = delete;
  ~ProcessCopy() { End(); }

  pid_t pid() const { return pid_; }
  pid_t pid_inside() const { return pid_inside_; }  // in the pid namespace of the process
  const ProcDir& dir() const { return dir_; }

  // Whether it stands still, and so has all that it was made with: nobody has killed it. The memory
  // of one that was killed goes bit by bit, and page tables that are gone look like empty ones.
  bool Stands() const;

  // Kills it, and waits until it is dead: its memory is free then.
  void End();

 private:
  ProcessCopy(pid_t pid, pid_t pid_inside, ProcDir dir)
      : pid_(pid), pid_inside_(pid_inside), dir_(std::move(dir)) {}

  pid_t pid_;
  pid_t pid_inside_;
  ProcDir dir_;
};

// Kills a copy that we trace, and waits until it is dead.
void EndCopy(pid_t pid);

// OK once the process, frozen for a moment, is seen on its own code, or is there no more (see
// ReapCopy): a copy that was being made when its tracer died is there then, or never will be.
// Errors: FrozenTask::Freeze's, Unavailable while it is on its way home.
absl::Status ExpectHome(pid_t maker, uint64_t start_time, absl::Time deadline);

// Lets a process, frozen for that moment, wait for a copy of it that has ended. OK also where it,
// or the child, is not there any more; `start_time` tells it from another one of its pid
// (TaskStat). Errors: FrozenTask::Freeze's, Unavailable while the copy has not ended.
absl::Status ReapCopy(pid_t maker, uint64_t start_time, pid_t pid_inside, absl::Time deadline);

}  // namespace dumpctl

#endif  // DUMP_TRACEE_PROCESS_COPY_H_
