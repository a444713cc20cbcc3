#ifndef DUMP_TRACEE_AWAY_THREAD_H_
#define DUMP_TRACEE_AWAY_THREAD_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dump/tracee/frozen_task.h"
#include "dump/tracee/healer_x86_64.h"
#include "dump/tracee/ptrace_ops.h"
#include "dumpctl/remote_address.h"
#include "proc/proc_fs.h"

namespace dumpctl {

// A frozen thread that is away from its program, on the healer: a scope. At its end the thread
// stands as it stood before, its registers and its signal mask put back. What it has mapped there
// it must have unmapped before.
class AwayThread {
 public:
  // `place` must hold the thread's context and stay as it is while the thread is away; `thread`,
  // which is one of `task`, and this must outlive the scope. `signal` is one that the process
  // ignores and the thread does not block: a tracer sees even such a signal, and where the tracer
  // has died, the kernel drops it. With 0 the thread cannot tell anything and is led from stop to
  // stop.
  static absl::StatusOr<AwayThread> Leave(const Healer& healer, RemoteAddress place,
                                          const FrozenTask& task, const FrozenThread& thread,
                                          int signal);

  AwayThread(AwayThread&& other) noexcept;
  AwayThread& operator=(AwayThread&&) = delete;
  ~AwayThread();

  pid_t tid() const { return thread_->tid; }
  const Healer::Guest& guest() const { return guest_; }

  // Lets the thread do something. Finish waits until it has told that it is done, and gives the
  // registers that it has then. In between it runs beside others; one that cannot tell runs only in
  // Finish.
  absl::Status Start(const Healer::Task& task);
  absl::StatusOr<GeneralRegisters> Finish();

  // It is about to start another thread of its process, or has started one.
  void HasOthers(const FrozenTask& task) { beside_others_of_ = &task.dir(); }

  // The child that it has made meanwhile, where its tracer is told of that; 0: none.
  pid_t newborn() const { return newborn_; }

  absl::Status ComeHome();

 private:
  AwayThread(const FrozenThread& thread, Healer::Guest guest) : thread_(&thread), guest_(guest) {}

  absl::StatusOr<Stop> WaitForStop() const;
  absl::StatusOr<GeneralRegisters> WaitUntilTold();
  absl::StatusOr<GeneralRegisters> LeadFromStopToStop();
  absl::Status RunToSyscallStop();
  absl::Status NoteNewborn();

  const FrozenThread* thread_;  // null once moved from or home
  // Its process, where it is the first thread of it and not the only one.
  const ProcDir* beside_others_of_ = nullptr;
  Healer::Guest guest_;
  RemoteAddress done_;
  bool busy_ = false;  // started, and not finished
  pid_t newborn_ = 0;
};

}  // namespace dumpctl

#endif  // DUMP_TRACEE_AWAY_THREAD_H_
