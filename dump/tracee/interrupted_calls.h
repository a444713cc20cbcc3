#ifndef DUMP_TRACEE_INTERRUPTED_CALLS_H_
#define DUMP_TRACEE_INTERRUPTED_CALLS_H_

#include <sys/types.h>

#include <map>

#include "dump/tracee/frozen_task.h"
#include "dump/tracee/registers_x86_64.h"

namespace dumpctl {

// Which system calls threads were in when they were stopped, where that does not show any more once
// they have gone on: the kernel has them enter restart_syscall(2) then, from a restart block that
// knows what they were, and which a restored thread has not.
class InterruptedCalls {
 public:
  // At each stop of the process.
  void Note(const FrozenTask& task);

  // The registers of a thread that is stopped once more, with the call that it is in in truth.
  GeneralRegisters AsEntered(pid_t tid, const GeneralRegisters& registers) const;

 private:
  std::map<pid_t, GeneralRegisters> entered_;  // by thread
};

}  // namespace dumpctl

#endif  // DUMP_TRACEE_INTERRUPTED_CALLS_H_
