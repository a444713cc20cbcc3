#include "dump/tracee/aside_thread.h"

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "dump/tracee/ptrace_ops.h"
#include "dump/tracee/registers_x86_64.h"
#include "dumpctl/failure.h"
#include "dumpctl/kernel_abi.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

absl::Status Gone(pid_t tid) {
  return MakeFailure(Failure::kTargetDied, absl::StatusCode::kNotFound,
                     absl::StrCat("thread ", tid, " was killed while it was frozen"));
}

}  // namespace

absl::Status AsideThread::WaitUntilStopped() const {
  ASSIGN_OR_RETURN(const Stop stop, WaitStop(tid_));
  return stop.kind == Stop::Kind::kGone ? Gone(tid_) : absl::OkStatus();
}

absl::Status AsideThread::RunTo(Stop::Kind kind,
                                absl::Status (*resume)(pid_t tid, int signal)) const {
  for (int signal = 0;;) {
    RETURN_IF_ERROR(resume(tid_, signal));
    ASSIGN_OR_RETURN(const Stop stop, WaitStop(tid_));
    if (stop.kind == kind) return absl::OkStatus();
    if (stop.kind == Stop::Kind::kGone) return Gone(tid_);
    signal = PassedOn(stop);
  }
}

absl::StatusOr<int64_t> AsideThread::RunOneCall() const {
  RETURN_IF_ERROR(RunTo(Stop::Kind::kSyscall, PtraceSyscall));  // entry
  RETURN_IF_ERROR(RunTo(Stop::Kind::kSyscall, PtraceSyscall));  // exit
  ASSIGN_OR_RETURN(const GeneralRegisters registers, GetGeneralRegisters(tid_));
  return static_cast<int64_t>(registers.rax);
}

absl::StatusOr<GeneralRegisters> AsideThread::RunToEnd(unsigned long options) const {
  RETURN_IF_ERROR(PtraceSetOptions(tid_, options | PTRACE_O_TRACEEXIT));
  RETURN_IF_ERROR(RunTo(Stop::Kind::kEvent, PtraceCont));
  return GetGeneralRegisters(tid_);
}

absl::Status AsideThread::End() {
  const pid_t tid = std::exchange(tid_, 0);
  if (tid == 0) return absl::OkStatus();
  for (int signal = 0;;) {
    const absl::Status cont = PtraceCont(tid, signal);
    // It may be on its way out.
    if (!cont.ok() && !absl::IsNotFound(cont)) return cont;
    const absl::StatusOr<Stop> stop = WaitStop(tid);
    if (absl::IsNotFound(stop.status())) return absl::OkStatus();
    RETURN_IF_ERROR(stop.status());
    if (stop->kind == Stop::Kind::kGone) return absl::OkStatus();
    signal = PassedOn(*stop);
  }
}

absl::StatusOr<UniqueFd> TakeFromThread(pid_t tid, int fd) {
  const UniqueFd thread(static_cast<int>(syscall(SYS_pidfd_open, tid, abi::kPidfdThread)));
  if (!thread) {
    if (errno != EINVAL) return absl::ErrnoToStatus(errno, "pidfd_open of a thread");
    return MakeFailure(Failure::kHost, absl::StatusCode::kFailedPrecondition,
                       "this kernel gives no descriptor of a thread: use Linux 6.9 or newer");
  }
  UniqueFd taken(static_cast<int>(syscall(SYS_pidfd_getfd, thread.get(), fd, 0)));
  if (!taken) return absl::ErrnoToStatus(errno, "pidfd_getfd of a thread");
  return taken;
}

}  // namespace dumpctl
