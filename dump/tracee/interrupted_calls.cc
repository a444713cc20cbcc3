#include "dump/tracee/interrupted_calls.h"

#include <sys/syscall.h>

#include <utility>

namespace dumpctl {
namespace {

bool GoesOn(const GeneralRegisters& registers) {
  return registers.orig_rax == SYS_restart_syscall &&
         SyscallRestartOf(registers) == SyscallRestart::kRestartBlock;
}

// Its arguments, and where it was made: nothing of that changes while it lasts.
bool IsSameCall(const GeneralRegisters& one, const GeneralRegisters& other) {
  return one.rip == other.rip && one.rsp == other.rsp && one.rbp == other.rbp &&
         one.rbx == other.rbx && one.rdi == other.rdi && one.rsi == other.rsi &&
         one.rdx == other.rdx && one.r10 == other.r10 && one.r8 == other.r8 && one.r9 == other.r9 &&
         one.r12 == other.r12 && one.r13 == other.r13 && one.r14 == other.r14 &&
         one.r15 == other.r15;
}

}  // namespace

void InterruptedCalls::Note(const FrozenTask& task) {
  std::map<pid_t, GeneralRegisters> now;
  for (const FrozenThread& thread : task.threads()) {
    const GeneralRegisters registers = AsEntered(thread.tid, thread.registers);
    if (SyscallRestartOf(registers) == SyscallRestart::kRestartBlock && !GoesOn(registers)) {
      now.emplace(thread.tid, registers);
    }
  }
  entered_ = std::move(now);
}

GeneralRegisters InterruptedCalls::AsEntered(pid_t tid, const GeneralRegisters& registers) const {
  const auto before = entered_.find(tid);
  if (before == entered_.end() || !GoesOn(registers) || !IsSameCall(before->second, registers)) {
    return registers;
  }
  GeneralRegisters entered = registers;
  entered.orig_rax = before->second.orig_rax;
  return entered;
}

}  // namespace dumpctl
