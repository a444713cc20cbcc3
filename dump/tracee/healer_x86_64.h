#ifndef DUMP_TRACEE_HEALER_X86_64_H_
#define DUMP_TRACEE_HEALER_X86_64_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "dump/tracee/registers_x86_64.h"
#include "dumpctl/remote_address.h"

namespace dumpctl {

// The code a thread stands on while system calls are run in it.
//
// When a tracer dies, the kernel lets its tracees run from wherever they stand. So whatever a
// thread stands on must by itself lead home: put the signal mask back, load every register, and
// jump to where the thread was stopped. No stack is touched (a goroutine may have none to spare),
// no flag is changed, and no signal frame is used: rt_sigreturn would forget the restart block, and
// an interrupted poll or nanosleep would fail with EINTR.
//
// The code lies in executable bytes that the program does not use; what it loads lies behind it
// (a "context"), written by the tracer before the thread is sent there. Two threads can be away at
// once, each with a context of its own: the host, which also owns the scratch memory that system
// calls write their results to and whose way home unmaps it, and one guest.
class Healer {
 public:
  enum Role { kHost, kGuest };

  // What one context holds.
  struct Context {
    GeneralRegisters go_on;  // see GoOnRegisters
    uint64_t sigmask = 0;    // in force when the thread is home
    RemoteAddress scratch;   // host only; what is unmapped on the way home
  };

  explicit Healer(RemoteAddress base) : base_(base) {}

  // Bytes needed at `base`, at most; both alike for every process.
  static constexpr size_t kSize = 704;
  static constexpr size_t kScratchSize = 16384;

  // One system call of a table in the task's memory, which a thread works through by itself.
  struct TableEntry {
    uint64_t number = 0;
    std::array<uint64_t, 6> arguments = {};
    int64_t result = 0;  // filled in by the thread
  };
  static_assert(sizeof(TableEntry) == 64);

  // The code, followed by empty contexts: to be written at `base` at once.
  std::vector<std::byte> Code() const;
  // Where a context goes, and its bytes.
  RemoteAddress ContextAddress(Role role) const;
  static std::vector<std::byte> ContextBytes(const Context& context);

  // Registers that make the thread...
  // ...go home, without unmapping.
  GeneralRegisters AtHome(const GeneralRegisters& from, Role role) const;
  // ...run the `count` (at least one) system calls of a table, then go home (for the host: by
  // unmapping the scratch memory).
  GeneralRegisters AtTable(const GeneralRegisters& from, Role role, RemoteAddress table,
                           size_t count) const;
  // Whether a thread stands behind the last system call of its table.
  bool IsBehindTable(const GeneralRegisters& registers) const;
  // ...map the scratch memory; should we die, what was mapped is unmapped on the way home.
  GeneralRegisters AtMap(const GeneralRegisters& from) const;
  // ...unmap it and go home.
  GeneralRegisters AtUnmap(const GeneralRegisters& from, RemoteAddress scratch) const;

 private:
  RemoteAddress base_;
};

}  // namespace dumpctl

#endif  // DUMP_TRACEE_HEALER_X86_64_H_
