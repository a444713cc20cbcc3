#ifndef DUMP_TRACEE_PTRACE_OPS_H_
#define DUMP_TRACEE_PTRACE_OPS_H_

#include <signal.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace dumpctl {

// ptrace(2) requests as status values. Every function acts on one thread (tid) that this very
// thread of ours traces: ptrace rights belong to a thread, not to a process.
//
// Errors: NotFound when the thread is gone (or runs, where a stop is needed: the kernel answers
// ESRCH to both), PermissionDenied as the kernel says.

// PTRACE_SEIZE (Linux 3.4): attaches without stopping and without any signal.
absl::Status PtraceSeize(pid_t tid, unsigned long options);
// PTRACE_INTERRUPT: asks for a stop; the stop is then seen by wait.
absl::Status PtraceInterrupt(pid_t tid);
absl::Status PtraceSetOptions(pid_t tid, unsigned long options);
// Of a thread that an event has stopped: what the event is about, such as the pid of who was made.
absl::StatusOr<uint64_t> PtraceGetEventMessage(pid_t tid);
// Lets a stopped thread run, delivering `signal` if not 0, until it stops by itself.
absl::Status PtraceCont(pid_t tid, int signal);
// The same, and it stops at the next entry into or exit from a system call.
absl::Status PtraceSyscall(pid_t tid, int signal);
absl::Status PtraceDetach(pid_t tid, int signal);

// The blocked signals, bit 0 = signal 1. While a thread waits inside sigsuspend, ppoll, pselect or
// epoll_pwait this is the mask it had before, which is what it will have again (Linux 3.11).
absl::StatusOr<uint64_t> PtraceGetSigmask(pid_t tid);
absl::Status PtraceSetSigmask(pid_t tid, uint64_t mask);

// A set of registers (<elf.h>: NT_PRSTATUS, NT_X86_XSTATE...; Linux 2.6.34). `area` says where it
// goes and how much fits; its length becomes what there was, cut silently to what fits.
absl::Status PtraceGetRegisterSet(pid_t tid, int note, iovec& area);
absl::Status PtraceSetRegisterSet(pid_t tid, int note, iovec area);

// Queued signals with their whole siginfo, in the order of the queue (PTRACE_PEEKSIGINFO, 3.10).
enum class SignalQueue { kThread, kProcess };
absl::StatusOr<std::vector<siginfo_t>> PtracePeekSignals(pid_t tid, SignalQueue queue);

// How a traced thread stopped.
struct Stop {
  enum class Kind {
    kInterrupt,  // PTRACE_EVENT_STOP after PtraceInterrupt
    kGroupStop,  // PTRACE_EVENT_STOP while the process is stopped by a job-control signal
    kSignal,     // a signal is about to be delivered (and has left its queue)
    kSyscall,    // entry into or exit from a system call
    kEvent,      // another ptrace event
    kGone,       // exited or killed
  };
  Kind kind;
  int signal = 0;       // kGroupStop, kSignal: which
  int wait_status = 0;  // kGone: as wait(2) gives it
};

// Of what waitid(2) tells of a thread that was seized. Pure, for who may do little else.
Stop DecodeStop(const siginfo_t& info);

// What a thread that runs for us alone, with all signals blocked, is given of its stop's: SIGSTOP,
// which cannot be blocked, so that the process stops by it once we have let it go.
inline int PassedOn(const Stop& stop) {
  return stop.kind == Stop::Kind::kSignal && stop.signal == SIGSTOP ? SIGSTOP : 0;
}

// Looks whether the thread has stopped, or is stopped still. Does not consume a signal-delivery
// stop's status: while it is unread, the signal still gets delivered if we die now (read, the
// kernel forgets it).
absl::StatusOr<std::optional<Stop>> PollStop(pid_t tid);
// The same, waiting as long as it takes.
absl::StatusOr<Stop> WaitStop(pid_t tid);

}  // namespace dumpctl

#endif  // DUMP_TRACEE_PTRACE_OPS_H_
