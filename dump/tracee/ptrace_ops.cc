#include "dump/tracee/ptrace_ops.h"

#include <sys/ptrace.h>
#include <sys/wait.h>

#include <array>
#include <cerrno>

#include "absl/strings/str_cat.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

absl::Status Error(int error, const char* request, pid_t tid) {
  if (error == ESRCH) return absl::NotFoundError(absl::StrCat("thread ", tid, " is gone"));
  return absl::ErrnoToStatus(error, absl::StrCat(request, " of thread ", tid));
}

// `data` is a number for some requests and an address for others.
template <typename Data>
absl::Status Request(decltype(PTRACE_CONT) request, const char* name, pid_t tid, uintptr_t address,
                     Data data) {
  if (ptrace(request, tid, reinterpret_cast<void*>(address), data) < 0) {
    return Error(errno, name, tid);
  }
  return absl::OkStatus();
}

void* Number(uintptr_t value) { return reinterpret_cast<void*>(value); }

absl::StatusOr<std::optional<Stop>> Wait(pid_t tid, int flags) {
  siginfo_t info = {};
  while (waitid(P_PID, tid, &info, WEXITED | WSTOPPED | __WALL | WNOWAIT | flags) < 0) {
    if (errno == EINTR) continue;
    if (errno == ECHILD) return absl::NotFoundError(absl::StrCat("thread ", tid, " is gone"));
    return absl::ErrnoToStatus(errno, absl::StrCat("waitid for thread ", tid));
  }
  if (info.si_pid == 0) return std::optional<Stop>();
  const Stop stop = DecodeStop(info);
  if (stop.kind == Stop::Kind::kSyscall || stop.kind == Stop::Kind::kGone) {
    // Consumed: an unread status of a system call stop would be sent as a signal if we died.
    siginfo_t ignored;
    waitid(P_PID, tid, &ignored, WEXITED | WSTOPPED | __WALL | WNOHANG);
  }
  return std::optional<Stop>(stop);
}

}  // namespace

Stop DecodeStop(const siginfo_t& info) {
  if (info.si_code != CLD_TRAPPED && info.si_code != CLD_STOPPED) {
    // WEXITSTATUS and WTERMSIG keep their places in the classic status word.
    const int status = info.si_code == CLD_EXITED ? info.si_status << 8 : info.si_status;
    return Stop{.kind = Stop::Kind::kGone, .wait_status = status};
  }
  // waitid gives what wait's status has above its low byte: the signal, and the event above it.
  const int signal = info.si_status & 0xff;
  const int event = info.si_status >> 8;
  if (event == PTRACE_EVENT_STOP) {
    if (signal == SIGTRAP) return Stop{.kind = Stop::Kind::kInterrupt};
    return Stop{.kind = Stop::Kind::kGroupStop, .signal = signal};
  }
  if (event != 0) return Stop{.kind = Stop::Kind::kEvent, .signal = signal};
  if (signal == (SIGTRAP | 0x80)) return Stop{.kind = Stop::Kind::kSyscall};
  return Stop{.kind = Stop::Kind::kSignal, .signal = signal};
}

absl::Status PtraceSeize(pid_t tid, unsigned long options) {
  return Request(PTRACE_SEIZE, "PTRACE_SEIZE", tid, 0, Number(options));
}

absl::Status PtraceInterrupt(pid_t tid) {
  return Request(PTRACE_INTERRUPT, "PTRACE_INTERRUPT", tid, 0, nullptr);
}

absl::Status PtraceSetOptions(pid_t tid, unsigned long options) {
  return Request(PTRACE_SETOPTIONS, "PTRACE_SETOPTIONS", tid, 0, Number(options));
}

absl::StatusOr<uint64_t> PtraceGetEventMessage(pid_t tid) {
  unsigned long message = 0;
  RETURN_IF_ERROR(Request(PTRACE_GETEVENTMSG, "PTRACE_GETEVENTMSG", tid, 0, &message));
  return message;
}

absl::Status PtraceCont(pid_t tid, int signal) {
  return Request(PTRACE_CONT, "PTRACE_CONT", tid, 0, Number(static_cast<uintptr_t>(signal)));
}

absl::Status PtraceSyscall(pid_t tid, int signal) {
  return Request(PTRACE_SYSCALL, "PTRACE_SYSCALL", tid, 0, Number(static_cast<uintptr_t>(signal)));
}

absl::Status PtraceDetach(pid_t tid, int signal) {
  return Request(PTRACE_DETACH, "PTRACE_DETACH", tid, 0, Number(static_cast<uintptr_t>(signal)));
}

absl::StatusOr<uint64_t> PtraceGetSigmask(pid_t tid) {
  uint64_t mask = 0;
  RETURN_IF_ERROR(Request(PTRACE_GETSIGMASK, "PTRACE_GETSIGMASK", tid, sizeof mask, &mask));
  return mask;
}

absl::Status PtraceSetSigmask(pid_t tid, uint64_t mask) {
  return Request(PTRACE_SETSIGMASK, "PTRACE_SETSIGMASK", tid, sizeof mask, &mask);
}

absl::Status PtraceGetRegisterSet(pid_t tid, int note, iovec& area) {
  return Request(PTRACE_GETREGSET, "PTRACE_GETREGSET", tid, note, &area);
}

absl::Status PtraceSetRegisterSet(pid_t tid, int note, iovec area) {
  return Request(PTRACE_SETREGSET, "PTRACE_SETREGSET", tid, note, &area);
}

absl::StatusOr<std::vector<siginfo_t>> PtracePeekSignals(pid_t tid, SignalQueue queue) {
  std::vector<siginfo_t> signals;
  for (;;) {
    std::array<siginfo_t, 32> batch;
    __ptrace_peeksiginfo_args args = {};
    args.off = signals.size();
    args.nr = static_cast<decltype(args.nr)>(batch.size());
    if (queue == SignalQueue::kProcess) args.flags = PTRACE_PEEKSIGINFO_SHARED;
    const long got = ptrace(PTRACE_PEEKSIGINFO, tid, &args, batch.data());
    if (got < 0) return Error(errno, "PTRACE_PEEKSIGINFO", tid);
    signals.insert(signals.end(), batch.begin(), batch.begin() + got);
    if (static_cast<size_t>(got) < batch.size()) return signals;
  }
}

absl::StatusOr<std::optional<Stop>> PollStop(pid_t tid) { return Wait(tid, WNOHANG); }

absl::StatusOr<Stop> WaitStop(pid_t tid) {
  ASSIGN_OR_RETURN(std::optional<Stop> stop, Wait(tid, 0));
  return *stop;
}

}  // namespace dumpctl
