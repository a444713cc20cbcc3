#ifndef DUMP_TRACEE_REGISTERS_X86_64_H_
#define DUMP_TRACEE_REGISTERS_X86_64_H_

#include <sys/types.h>
#include <sys/user.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace dumpctl {

// General registers as PTRACE_GETREGS gives them, fs_base and gs_base included. `orig_rax` is the
// number of the system call the thread is in, or -1.
using GeneralRegisters = user_regs_struct;

absl::StatusOr<GeneralRegisters> GetGeneralRegisters(pid_t tid);
absl::Status SetGeneralRegisters(pid_t tid, const GeneralRegisters& registers);

// x87, SSE, AVX, ... as the processor's XSAVE area in its standard (not compacted) format, plus
// what the kernel keeps in its software bytes at offset 464 (NT_X86_XSTATE).
absl::StatusOr<std::vector<std::byte>> GetExtendedState(pid_t tid);

// True for code segments of 32-bit (and x32) tasks.
bool IsForeignAbi(const GeneralRegisters& registers);

// True while the thread is in a system call.
bool IsInSyscall(const GeneralRegisters& registers);

// What becomes of a system call that the freeze has interrupted.
enum class SyscallRestart {
  kNone,          // not in a system call, or it has ended
  kPlain,         // the kernel starts it anew (-ERESTARTSYS, -ERESTARTNOINTR, -ERESTARTNOHAND)
  kRestartBlock,  // it goes on by restart_syscall(2), from the thread's restart_block
  kInterrupted,   // it ended with EINTR for no reason but the stop; see signal(7), "interrupted by
                  // a stop signal": epoll_wait, semtimedop, sigtimedwait, sockets with a timeout
};
SyscallRestart SyscallRestartOf(const GeneralRegisters& registers);

// Registers with which the thread, put on its way from anywhere in user space, goes on as if it had
// never stopped: an interrupted system call is set up to be entered again, through
// restart_syscall(2) where a restart block waits. orig_rax is -1.
GeneralRegisters GoOnRegisters(const GeneralRegisters& stopped);

// Registers for an image. The restored thread has no restart block, so a call that had one is
// entered anew; the two sleeps go on with what the kernel says remains of them.
GeneralRegisters ImageRegisters(const GeneralRegisters& stopped);

// Registers to put back at the end of a freeze: exactly as they were, so that the kernel itself
// restarts the call; where it would report EINTR for our stop alone, the call is entered again.
GeneralRegisters PutBackRegisters(const GeneralRegisters& stopped);

}  // namespace dumpctl

#endif  // DUMP_TRACEE_REGISTERS_X86_64_H_
