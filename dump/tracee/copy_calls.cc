#include "dump/tracee/copy_calls.h"

#include <sys/syscall.h>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "dump/tracee/injection_site.h"
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

absl::Status CopyCalls::RunToStop() const {
  for (;;) {
    RETURN_IF_ERROR(PtraceSyscall(copy_, 0));
    ASSIGN_OR_RETURN(const Stop stop, WaitStop(copy_));
    if (stop.kind == Stop::Kind::kSyscall) return absl::OkStatus();
    if (stop.kind == Stop::Kind::kGone) {
      return absl::NotFoundError(absl::StrCat("copy ", copy_, " was killed"));
    }
  }
}

absl::StatusOr<int64_t> CopyCalls::Run(long number, const std::array<uint64_t, 6>& arguments) {
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
  RETURN_IF_ERROR(SetGeneralRegisters(copy_, registers));
  RETURN_IF_ERROR(RunToStop());  // entry
  RETURN_IF_ERROR(RunToStop());  // exit
  ASSIGN_OR_RETURN(registers, GetGeneralRegisters(copy_));
  return static_cast<int64_t>(registers.rax);
}

}  // namespace dumpctl
