#ifndef DUMP_TRACEE_RSEQ_H_
#define DUMP_TRACEE_RSEQ_H_

#include <sys/types.h>

#include <cstdint>
#include <optional>

#include "absl/status/statusor.h"
#include "dump/tracee/registers_x86_64.h"
#include "dump/tracee/remote_memory.h"
#include "dumpctl/remote_address.h"

namespace dumpctl {

// A thread's rseq(2) registration (PTRACE_GET_RSEQ_CONFIGURATION, Linux 5.13).
struct RseqRegistration {
  RemoteAddress area;
  uint32_t size = 0;
  uint32_t signature = 0;
};

// None when the thread has not registered, or when the kernel cannot tell.
absl::StatusOr<std::optional<RseqRegistration>> GetRseqRegistration(pid_t tid);

// Where the kernel would send a thread stopped with these registers: to the abort handler of the
// critical section it stands in. None when it stands in no section. A stop aborts the section as
// any preemption does, but the kernel does so only on the way back to user space, by the
// instruction pointer it finds then; who moves that must abort first.
absl::StatusOr<std::optional<RemoteAddress>> RseqAbortAddress(const RseqRegistration& rseq,
                                                              const GeneralRegisters& registers,
                                                              const RemoteMemory& memory);

}  // namespace dumpctl

#endif  // DUMP_TRACEE_RSEQ_H_
