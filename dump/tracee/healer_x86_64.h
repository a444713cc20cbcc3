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
// (the "context"), written by the tracer before the thread is sent there. One thread is away at a
// time. It maps scratch memory for what system calls write, and unmaps it on its way home: no
// thread's way home may touch memory that is another's to unmap, since a dead tracer's tracees all
// run at once.
//
// Between its tasks the thread tells the tracer where it is by a signal to itself; where there is
// no tracer any more, it is ignored and the thread goes on, home.
class Healer {
 public:
  struct Context {
    GeneralRegisters go_on;  // see GoOnRegisters
    uint64_t sigmask = 0;    // in force when the thread is home
  };

  explicit Healer(RemoteAddress base) : base_(base) {}

  // Bytes needed at `base`.
  static constexpr size_t kSize = 480;
  static constexpr size_t kScratchSize = 16384;

  // One system call of a table in the scratch memory, which the thread works through by itself, and
  // room for what the call writes.
  struct TableEntry {
    uint64_t number = 0;
    std::array<uint64_t, 6> arguments = {};
    int64_t result = 0;  // filled in by the thread
    std::array<std::byte, 64> slot = {};
  };
  static_assert(sizeof(TableEntry) == 128);

  // The code, followed by an empty context: to be written at `base` at once.
  std::vector<std::byte> Code() const;
  // Where the context goes, and its bytes.
  RemoteAddress ContextAddress() const;
  static std::vector<std::byte> ContextBytes(const Context& context);

  // Registers that make the thread go home.
  GeneralRegisters AtHome(const GeneralRegisters& from) const;

  // Registers that make the thread do something, tell that it is done by `signal` (0: it does not
  // tell) and, if nobody stops it there, go home, unmapping the scratch memory on the way; and the
  // address where it stands when it tells.
  struct Task {
    GeneralRegisters registers;
    RemoteAddress done;
  };
  // Map the scratch memory: at `wanted`, which has to be free, or anywhere (null). Where, or a
  // negative errno, is then in r12.
  Task Map(const GeneralRegisters& from, RemoteAddress wanted, int signal) const;
  // Run the `count` (at least one) system calls of the table at the beginning of the memory.
  Task WorkThrough(const GeneralRegisters& from, RemoteAddress scratch, size_t count,
                   int signal) const;
  Task Unmap(const GeneralRegisters& from, RemoteAddress scratch, int signal) const;

 private:
  RemoteAddress base_;
};

}  // namespace dumpctl

#endif  // DUMP_TRACEE_HEALER_X86_64_H_
