#include "dump/tracee/registers_x86_64.h"

#include <elf.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>

#include "absl/strings/str_cat.h"
#include "dump/tracee/ptrace_ops.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

// Kernel-internal results of an interrupted system call (include/linux/errno.h); user space never
// sees them, a tracer does.
constexpr int64_t kErestartsys = 512;
constexpr int64_t kErestartnointr = 513;
constexpr int64_t kErestartnohand = 514;
constexpr int64_t kErestartRestartblock = 516;

constexpr uint64_t kSyscallInstructionLength = 2;
constexpr uint64_t kUserCodeSegment64 = 0x33;

// Calls that fail with EINTR after any stop, and of which such a failure means that nothing was
// done: entering them again cannot be told from not having been stopped.
bool CanBeEnteredAgain(uint64_t number) {
  switch (number) {
    case SYS_epoll_wait:
    case SYS_epoll_pwait:
    case SYS_epoll_pwait2:
    case SYS_rt_sigtimedwait:
    case SYS_semop:
    case SYS_semtimedop:
    case SYS_io_getevents:
    case SYS_io_pgetevents:
    case SYS_read:
    case SYS_readv:
    case SYS_recvfrom:
    case SYS_recvmsg:
    case SYS_recvmmsg:
    case SYS_accept:
    case SYS_accept4:
      return true;
    default:
      return false;
  }
}

GeneralRegisters EnterAgain(GeneralRegisters registers, uint64_t number) {
  registers.rax = number;
  registers.rip -= kSyscallInstructionLength;
  registers.orig_rax = ~0ull;
  return registers;
}

}  // namespace

absl::StatusOr<GeneralRegisters> GetGeneralRegisters(pid_t tid) {
  GeneralRegisters registers = {};
  iovec area{&registers, sizeof registers};
  RETURN_IF_ERROR(PtraceGetRegisterSet(tid, NT_PRSTATUS, area));
  // A 32-bit task fills less of the structure.
  if (area.iov_len != sizeof registers) registers.cs = 0;
  return registers;
}

absl::Status SetGeneralRegisters(pid_t tid, const GeneralRegisters& registers) {
  iovec area{const_cast<GeneralRegisters*>(&registers), sizeof registers};
  return PtraceSetRegisterSet(tid, NT_PRSTATUS, area);
}

absl::StatusOr<std::vector<std::byte>> GetExtendedState(pid_t tid) {
  // AMX makes the area 11 KB; no processor needs more than this yet, and the kernel cuts silently.
  std::array<std::byte, 16384> state;
  iovec area{state.data(), state.size()};
  RETURN_IF_ERROR(PtraceGetRegisterSet(tid, NT_X86_XSTATE, area));
  if (area.iov_len == state.size()) {
    return absl::InternalError(
        absl::StrCat("thread ", tid, ": extended state over ", state.size(), " bytes"));
  }
  return std::vector<std::byte>(state.begin(), state.begin() + area.iov_len);
}

bool IsForeignAbi(const GeneralRegisters& registers) { return registers.cs != kUserCodeSegment64; }

bool IsInSyscall(const GeneralRegisters& registers) {
  return static_cast<int64_t>(registers.orig_rax) >= 0;
}

SyscallRestart SyscallRestartOf(const GeneralRegisters& registers) {
  if (!IsInSyscall(registers)) return SyscallRestart::kNone;
  switch (-static_cast<int64_t>(registers.rax)) {
    case kErestartsys:
    case kErestartnointr:
    case kErestartnohand:
      return SyscallRestart::kPlain;
    case kErestartRestartblock:
      return SyscallRestart::kRestartBlock;
    case EINTR:
      return CanBeEnteredAgain(registers.orig_rax) ? SyscallRestart::kInterrupted
                                                   : SyscallRestart::kNone;
    default:
      return SyscallRestart::kNone;
  }
}

GeneralRegisters GoOnRegisters(const GeneralRegisters& stopped) {
  GeneralRegisters registers = stopped;
  registers.orig_rax = ~0ull;
  switch (SyscallRestartOf(stopped)) {
    case SyscallRestart::kNone:
      return registers;
    case SyscallRestart::kPlain:
    case SyscallRestart::kInterrupted:
      return EnterAgain(registers, stopped.orig_rax);
    case SyscallRestart::kRestartBlock:
      return EnterAgain(registers, SYS_restart_syscall);
  }
  return registers;
}

GeneralRegisters ImageRegisters(const GeneralRegisters& stopped) {
  if (SyscallRestartOf(stopped) != SyscallRestart::kRestartBlock) return GoOnRegisters(stopped);
  GeneralRegisters registers = EnterAgain(stopped, stopped.orig_rax);
  // An interrupted sleep has already written what remains to its last argument, if it has one.
  if (stopped.orig_rax == SYS_nanosleep && stopped.rsi != 0) registers.rdi = stopped.rsi;
  if (stopped.orig_rax == SYS_clock_nanosleep && stopped.r10 != 0) registers.rdx = stopped.r10;
  return registers;
}

GeneralRegisters PutBackRegisters(const GeneralRegisters& stopped) {
  if (SyscallRestartOf(stopped) == SyscallRestart::kInterrupted) return GoOnRegisters(stopped);
  return stopped;
}

}  // namespace dumpctl
