#include "dump/tracee/away_thread.h"

#include <signal.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "dump/tracee/leader_stop.h"
#include "dumpctl/failure.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

// While a thread is away nothing may be delivered to it: a signal taken from its queue then could
// not be put back. (SIGKILL and SIGSTOP cannot be blocked.)
constexpr uint64_t kAllSignals = ~0ull;

absl::Status Died(pid_t tid) {
  return MakeFailure(Failure::kTargetDied, absl::StatusCode::kNotFound,
                     absl::StrCat("thread ", tid, " was killed while it was frozen"));
}

absl::Status Unexpected(pid_t tid, int signal) {
  return absl::InternalError(
      absl::StrCat("thread ", tid, " got signal ", signal, " on injected code"));
}

}  // namespace

absl::StatusOr<AwayThread> AwayThread::Leave(const Healer& healer, RemoteAddress place,
                                             const FrozenTask& task, const FrozenThread& thread,
                                             int signal) {
  AwayThread away(thread, {thread.registers, place, signal});
  if (thread.tid == task.pid() && task.threads().size() > 1) away.HasOthers(task);
  // In this order: from here on the way home puts the mask back.
  RETURN_IF_ERROR(SetGeneralRegisters(thread.tid, healer.AtHome(away.guest_)));
  const uint64_t open = signal == 0 ? 0 : uint64_t{1} << (signal - 1);
  RETURN_IF_ERROR(PtraceSetSigmask(thread.tid, kAllSignals & ~open));
  return away;
}

AwayThread::AwayThread(AwayThread&& other) noexcept
    : thread_(std::exchange(other.thread_, nullptr)),
      beside_others_of_(other.beside_others_of_),
      guest_(other.guest_),
      done_(other.done_),
      busy_(other.busy_),
      newborn_(other.newborn_) {}

AwayThread::~AwayThread() { ComeHome().IgnoreError(); }

absl::Status AwayThread::Start(const Healer::Task& task) {
  RETURN_IF_ERROR(SetGeneralRegisters(tid(), task.registers));
  done_ = task.done;
  busy_ = true;
  return guest_.signal == 0 ? absl::OkStatus() : PtraceCont(tid(), 0);
}

absl::StatusOr<GeneralRegisters> AwayThread::Finish() {
  busy_ = false;
  return guest_.signal == 0 ? LeadFromStopToStop() : WaitUntilTold();
}

absl::StatusOr<Stop> AwayThread::WaitForStop() const {
  return beside_others_of_ == nullptr ? WaitStop(tid())
                                      : WaitStopOfLeader(tid(), *beside_others_of_);
}

absl::StatusOr<GeneralRegisters> AwayThread::WaitUntilTold() {
  for (;;) {
    ASSIGN_OR_RETURN(const Stop stop, WaitForStop());
    if (stop.kind == Stop::Kind::kGone) return Died(tid());
    if (stop.kind == Stop::Kind::kSignal && PassedOn(stop) == 0) {
      if (stop.signal != guest_.signal) return Unexpected(tid(), stop.signal);
      // Somebody else may have sent it: then it comes early, and is as ignored as it always was.
      ASSIGN_OR_RETURN(const GeneralRegisters registers, GetGeneralRegisters(tid()));
      if (registers.rip == done_.value()) return registers;
    } else if (stop.kind == Stop::Kind::kEvent) {
      RETURN_IF_ERROR(NoteNewborn());
    }
    RETURN_IF_ERROR(PtraceCont(tid(), PassedOn(stop)));
  }
}

absl::Status AwayThread::NoteNewborn() {
  ASSIGN_OR_RETURN(const uint64_t pid, PtraceGetEventMessage(tid()));
  newborn_ = static_cast<pid_t>(pid);
  return absl::OkStatus();
}

// Lets the thread run to the next system call stop.
absl::Status AwayThread::RunToSyscallStop() {
  int signal = 0;
  for (;;) {
    RETURN_IF_ERROR(PtraceSyscall(tid(), signal));
    ASSIGN_OR_RETURN(const Stop stop, WaitForStop());
    signal = PassedOn(stop);
    switch (stop.kind) {
      case Stop::Kind::kSyscall:
        return absl::OkStatus();
      case Stop::Kind::kGone:
        return Died(tid());
      case Stop::Kind::kSignal:
        if (signal == 0) return Unexpected(tid(), stop.signal);
        break;
      case Stop::Kind::kEvent:
        RETURN_IF_ERROR(NoteNewborn());
        break;
      case Stop::Kind::kInterrupt:
      case Stop::Kind::kGroupStop:
        break;
    }
  }
}

// Slower, and there is no other way.
absl::StatusOr<GeneralRegisters> AwayThread::LeadFromStopToStop() {
  for (;;) {
    RETURN_IF_ERROR(RunToSyscallStop());  // entry
    RETURN_IF_ERROR(RunToSyscallStop());  // exit
    ASSIGN_OR_RETURN(const GeneralRegisters registers, GetGeneralRegisters(tid()));
    if (registers.rip == done_.value()) return registers;
  }
}

absl::Status AwayThread::ComeHome() {
  if (thread_ == nullptr) return absl::OkStatus();
  absl::Status status;
  if (busy_) status = Finish().status();
  const FrozenThread& thread = *std::exchange(thread_, nullptr);
  // The mask first: until the registers are back, the way home still puts it back.
  status.Update(PtraceSetSigmask(thread.tid, thread.sigmask));
  status.Update(SetGeneralRegisters(thread.tid, PutBackRegisters(thread.registers)));
  return status;
}

}  // namespace dumpctl
