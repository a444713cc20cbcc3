#ifndef DUMP_TRACEE_HEALER_X86_64_H_
#define DUMP_TRACEE_HEALER_X86_64_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "dump/tracee/registers_x86_64.h"
#include "dump/tracee/thread_answers.h"
#include "dumpctl/remote_address.h"

namespace dumpctl {

// The code that threads stand on while system calls are run in them.
//
// When a tracer dies, the kernel lets its tracees run from wherever they stand. So whatever a
// thread stands on must by itself lead home: put the signal mask back, load every register, and
// jump to where the thread was stopped. No stack is touched (a goroutine may have none to spare),
// no flag is changed, and no signal frame is used: rt_sigreturn would forget the restart block, and
// an interrupted poll or nanosleep would fail with EINTR.
//
// The code lies in executable bytes that the program does not use. Behind it lie places, one for
// each thread that is away at a time: what it loads on its way home, and its last two instructions,
// written by the tracer before the thread is sent there.
//
// One of them maps scratch memory for what system calls write, and unmaps it on its way home. A
// dead tracer's tracees all run at once, so for the others it may be gone at any moment: they never
// touch it themselves, they only let the kernel write there, which then fails. Nor may it be
// another mapping by then: it lies where the kernel maps nothing that was not asked for at that
// very place, far from all else, and nobody can know where (see RandomScratch).
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

  // Bytes needed at `base`: the code, and so many places behind it.
  static constexpr size_t kCodeSize = 456;
  static constexpr size_t kPlaceSize = 152;
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

  // Position independent: to be written at `base`.
  static std::vector<std::byte> Code();
  // What a place has to hold while a thread is away.
  static std::array<std::byte, kPlaceSize> PlaceBytes(const Context& context);
  RemoteAddress Place(size_t index) const { return base_ + kCodeSize + index * kPlaceSize; }

  // A thread that is sent away.
  struct Guest {
    GeneralRegisters registers;  // as it was stopped
    RemoteAddress place;
    int signal = 0;  // by which it tells; 0: it does not tell
  };

  // Registers that make the thread go home.
  GeneralRegisters AtHome(const Guest& guest) const;

  // Registers that make the thread do something, tell that it is done and, if nobody stops it
  // there, go home; and the address where it stands when it tells.
  struct Task {
    GeneralRegisters registers;
    RemoteAddress done;
  };

  // Of the one with scratch memory, which it unmaps on its way home.
  //
  // Map it at `scratch`, which has to be free (or the result is -EEXIST). The result, an address or
  // a negative errno, is then in r12.
  Task Map(const Guest& guest, RemoteAddress scratch) const;
  // Run the `count` (at least one) system calls of the table at the beginning of the memory.
  Task WorkThrough(const Guest& guest, RemoteAddress scratch, size_t count) const;
  Task Unmap(const Guest& guest, RemoteAddress scratch) const;
  // Make a copy of its process, by clone(2) with `flags`. The result, a pid in its own pid
  // namespace or a negative errno, is then in r14. The copy itself exits when it is let run.
  Task Copy(const Guest& guest, RemoteAddress scratch, uint64_t flags) const;
  // Start another thread, with a descriptor table of its own, a copy, unless it `shares` that
  // (CLONE_FILES). The result, a tid in its own pid namespace or a negative errno, is then in r14
  // of who started it. It has the signal mask of who started it, so it takes no signals but SIGSTOP
  // and the one that threads tell by; it is traced as that one is, and stops before its first
  // instruction. Left alone there, it ends at once: nothing is left of it, not even a zombie.
  Task Spawn(const Guest& guest, RemoteAddress scratch, uint64_t shares) const;
  // Registers that make the new thread run one system call before it ends. `registers`: its own.
  GeneralRegisters Aside(GeneralRegisters registers, long number,
                         const std::array<uint64_t, 3>& arguments) const;
  // What that call returned, by the registers with which the thread ends; none where it was killed.
  static std::optional<int64_t> ResultOfAside(const GeneralRegisters& at_end);

  // Of all others. Ask for what ThreadAnswers holds; the kernel writes some of it into a slot in
  // the scratch memory.
  struct AnswerSlot {
    std::array<uint64_t, 3> altstack = {};  // stack_t
    uint64_t clear_child_tid = 0;
    uint32_t pdeath_signal = 0;
  };
  static_assert(sizeof(AnswerSlot) == 40);
  Task Ask(const Guest& guest, RemoteAddress slot) const;
  // None when some call has failed. `told`: the thread's registers then.
  static std::optional<ThreadAnswers> AnswersOf(const GeneralRegisters& told,
                                                const AnswerSlot& slot);

  // An address for scratch memory: any of 2^31, in the wide space between programs and what the
  // kernel places for them.
  static RemoteAddress RandomScratch();

 private:
  RemoteAddress base_;
};

}  // namespace dumpctl

#endif  // DUMP_TRACEE_HEALER_X86_64_H_
