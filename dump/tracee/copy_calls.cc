#include "dump/tracee/copy_calls.h"

#include <sched.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "dump/tracee/child_changes.h"
#include "dump/tracee/injection_site.h"
#include "dump/tracee/leader_stop.h"
#include "dump/tracee/ptrace_ops.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {

absl::StatusOr<CopyCalls> CopyCalls::Prepare(pid_t copy, const ProcDir& dir,
                                             const std::optional<RseqRegistration>& rseq) {
  ASSIGN_OR_RETURN(RemoteMemory memory, RemoteMemory::Open(dir));
  ASSIGN_OR_RETURN(const RemoteAddress instruction, FindSyscallInstruction(dir, memory));
  ASSIGN_OR_RETURN(const GeneralRegisters registers, GetGeneralRegisters(copy));
  CopyCalls calls(copy, std::move(memory), instruction, registers);
  if (rseq) RETURN_IF_ERROR(calls.LeaveArea(*rseq));
  return calls;
}

absl::Status CopyCalls::LeaveArea(const RseqRegistration& rseq) {
  constexpr uint64_t kUnregister = 1;  // RSEQ_FLAG_UNREGISTER
  ASSIGN_OR_RETURN(const std::vector<std::byte> was, memory_.Read(rseq.area, rseq.size));
  ASSIGN_OR_RETURN(const int64_t result, Run(SYS_rseq, {rseq.area.value(), rseq.size, kUnregister,
                                                        rseq.signature, 0, 0}));
  if (result < 0) {
    return absl::ErrnoToStatus(static_cast<int>(-result), "leaving an rseq area of a copy");
  }
  return memory_.Write(rseq.area, was);
}

absl::Status CopyCalls::Look(pid_t tid, Seen& seen) {
  if (seen.stop) return absl::OkStatus();
  // It is told once.
  ASSIGN_OR_RETURN(seen.stop, PollStop(tid));
  return absl::OkStatus();
}

absl::Status CopyCalls::LookAgain(pid_t tid, Seen& seen) {
  ASSIGN_OR_RETURN(const std::optional<Stop> stop, PollStop(tid));
  if (stop && (!seen.stop || stop->kind == Stop::Kind::kGone)) seen.stop = stop;
  return absl::OkStatus();
}

// The end of the first thread is not told before the other one is waited for (WaitStopOfLeader), so
// where the copy is killed that is looked at as well.
absl::Status CopyCalls::WaitUntilSeen() {
  if (seen_->stop) return absl::OkStatus();
  if (starting_ != nullptr) {
    ASSIGN_OR_RETURN(seen_->stop, WaitStopOfLeader(copy_, *starting_));
    return absl::OkStatus();
  }
  if (!seen_of_other_ || seen_of_other_->ended) {
    ASSIGN_OR_RETURN(seen_->stop, WaitStop(copy_));
    return absl::OkStatus();
  }
  constexpr absl::Duration kMost = absl::Milliseconds(5);
  const ChildChanges changes;
  for (;;) {
    RETURN_IF_ERROR(Look(copy_, *seen_));
    if (seen_->stop) return absl::OkStatus();
    if (!LookAgain(other_, *seen_of_other_).ok()) seen_of_other_->ended = true;
    changes.Wait(absl::Now() + kMost);
  }
}

// One that is stopped otherwise is let go on.
absl::Status CopyCalls::WaitForCall() {
  for (;;) {
    RETURN_IF_ERROR(WaitUntilSeen());
    const Stop stop = *std::exchange(seen_->stop, std::nullopt);
    if (stop.kind == Stop::Kind::kSyscall) return absl::OkStatus();
    if (stop.kind == Stop::Kind::kGone) {
      return absl::NotFoundError(absl::StrCat("copy ", copy_, " was killed"));
    }
    RETURN_IF_ERROR(PtraceSyscall(copy_, 0));
  }
}

absl::Status CopyCalls::LoadCall(long number, const std::array<uint64_t, 6>& arguments) const {
  GeneralRegisters registers = registers_;
  registers.rip = instruction_.value();
  // Not in a system call: the kernel must not apply its restart rules to what we load.
  registers.orig_rax = ~0ull;
  registers.rax = static_cast<uint64_t>(number);
  registers.rdi = arguments[0];
  registers.rsi = arguments[1];
  registers.rdx = arguments[2];
  registers.r10 = arguments[3];
  registers.r8 = arguments[4];
  registers.r9 = arguments[5];
  return SetGeneralRegisters(copy_, registers);
}

absl::Status CopyCalls::Start(long number, const std::array<uint64_t, 6>& arguments) {
  RETURN_IF_ERROR(LoadCall(number, arguments));
  RETURN_IF_ERROR(PtraceSyscall(copy_, 0));
  RETURN_IF_ERROR(WaitForCall());  // entry
  RETURN_IF_ERROR(PtraceSyscall(copy_, 0));
  busy_ = true;
  return absl::OkStatus();
}

absl::StatusOr<int64_t> CopyCalls::Finish() {
  busy_ = false;
  RETURN_IF_ERROR(WaitForCall());  // exit
  ASSIGN_OR_RETURN(const GeneralRegisters registers, GetGeneralRegisters(copy_));
  return static_cast<int64_t>(registers.rax);
}

bool CopyCalls::IsDone() { return !Look(copy_, *seen_).ok() || seen_->stop.has_value(); }

absl::StatusOr<int64_t> CopyCalls::Run(long number, const std::array<uint64_t, 6>& arguments) {
  RETURN_IF_ERROR(Start(number, arguments));
  return Finish();
}

absl::StatusOr<CopyCalls> CopyCalls::StartThread(const ProcDir& dir) {
  // Traced as this one is, so it stops before it does anything, and dies with us.
  constexpr uint64_t kFlags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
                              CLONE_SYSVSEM | CLONE_PTRACE;
  ASSIGN_OR_RETURN(RemoteMemory memory, RemoteMemory::Open(dir));
  starting_ = &dir;
  const absl::StatusOr<int64_t> result = Run(SYS_clone, {kFlags, 0, 0, 0, 0, 0});
  starting_ = nullptr;
  ASSIGN_OR_RETURN(const int64_t started, result);
  if (started < 0) {
    return absl::ErrnoToStatus(static_cast<int>(-started), "starting a thread of a copy");
  }
  // What clone(2) returned is its number in the copy's own pid namespace.
  ASSIGN_OR_RETURN(const std::vector<int> tids, ListNumbers(dir, "task"));
  const auto other = std::find_if(tids.begin(), tids.end(), [&](int tid) { return tid != copy_; });
  if (other == tids.end()) return absl::NotFoundError("a thread of a copy was killed");
  CopyCalls calls(*other, std::move(memory), instruction_, registers_);
  calls.ends_ = true;
  other_ = *other;
  seen_of_other_ = calls.seen_;
  ASSIGN_OR_RETURN(const Stop stop, WaitStop(*other));
  if (stop.kind == Stop::Kind::kGone) {
    calls.copy_ = 0;
    seen_of_other_->ended = true;
    return absl::NotFoundError("a thread of a copy was killed");
  }
  return calls;
}

CopyCalls::CopyCalls(CopyCalls&& other) noexcept
    : copy_(std::exchange(other.copy_, 0)),
      ends_(other.ends_),
      busy_(other.busy_),
      seen_(other.seen_),
      other_(other.other_),
      seen_of_other_(std::move(other.seen_of_other_)),
      memory_(std::move(other.memory_)),
      instruction_(other.instruction_),
      registers_(other.registers_) {}

CopyCalls::~CopyCalls() {
  if (copy_ == 0 || !ends_) return;
  // One that was killed meanwhile is waited for all the same: its process does not end before.
  if (busy_) Finish().IgnoreError();
  LoadCall(SYS_exit, {}).IgnoreError();
  PtraceCont(copy_, 0).IgnoreError();
  while (WaitUntilSeen().ok()) {
    if (std::exchange(seen_->stop, std::nullopt)->kind == Stop::Kind::kGone) break;
    PtraceCont(copy_, 0).IgnoreError();
  }
  seen_->ended = true;
}

}  // namespace dumpctl
