#ifndef DUMP_TRACEE_ASIDE_THREAD_H_
#define DUMP_TRACEE_ASIDE_THREAD_H_

#include <sys/types.h>

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dump/tracee/ptrace_ops.h"
#include "dump/tracee/registers_x86_64.h"
#include "dumpctl/unique_fd.h"

namespace dumpctl {

// A thread that was started in a frozen task for us alone (Healer::Spawn), and that we trace from
// its birth: a scope. At its end the thread is gone.
class AsideThread {
 public:
  explicit AsideThread(pid_t tid) : tid_(tid) {}
  AsideThread(const AsideThread&) = delete;
  AsideThread& operator=(const AsideThread&) = delete;
  ~AsideThread() { End().IgnoreError(); }

  absl::Status WaitUntilStopped() const;
  // Lets it run through its next system call; what that returned.
  absl::StatusOr<int64_t> RunOneCall() const;
  // Lets it run until it is about to end, of which a thread that is traced with `options` tells;
  // its registers then. A stop less than with RunOneCall.
  absl::StatusOr<GeneralRegisters> RunToEnd(unsigned long options) const;
  // Lets it go and waits until nothing is left of it.
  absl::Status End();

 private:
  // `resume`: PtraceCont, or PtraceSyscall.
  absl::Status RunTo(Stop::Kind kind, absl::Status (*resume)(pid_t tid, int signal)) const;

  pid_t tid_;  // 0 once it is gone
};

// A descriptor of a thread whose table is not its process's (pidfd_open(2) with PIDFD_THREAD, Linux
// 6.9).
absl::StatusOr<UniqueFd> TakeFromThread(pid_t tid, int fd);

}  // namespace dumpctl

#endif  // DUMP_TRACEE_ASIDE_THREAD_H_
