#include "dump/tracee/healer_x86_64.h"

#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <initializer_list>

namespace dumpctl {
namespace {

// x86 register numbers, as instructions encode them.
enum RegisterNumber {
  kRax,
  kRcx,
  kRdx,
  kRbx,
  kRsp,
  kRbp,
  kRsi,
  kRdi,
  kR8,
  kR9,
  kR10,
  kR11,
  kR12,
  kR13,
  kR14,
  kR15
};

// A place in memory. First the instructions that load the last register and jump: r15, which holds
// the place's address until then, leads to them. Behind them one slot a register (rsp has none: it
// never changes), then the rest.
constexpr int kPlaceRegister = kR15;
constexpr int kSavedRegisters[] = {kRax, kRcx, kRdx, kRbx, kRbp, kRsi, kRdi, kR8,
                                   kR9,  kR10, kR11, kR12, kR13, kR14, kR15};
constexpr size_t kSlot = 8;
constexpr size_t kSlots = 16;
constexpr size_t kR15Slot = kSlots + 14 * kSlot;
constexpr size_t kRipSlot = kR15Slot + kSlot;
constexpr size_t kSigmaskSlot = kRipSlot + kSlot;
static_assert(kSigmaskSlot + kSlot == Healer::kPlaceSize);

// Lengths of pieces of code, and where they lie. Each but the home falls through to the next.
constexpr size_t kTellSize = 30;
constexpr size_t kHomeSize = 89;
constexpr size_t kTableSize = 51;
constexpr size_t kAskSize = 77;
constexpr size_t kMap = 0;  // mmap, as registers say; r12 = result; tell
constexpr size_t kMapTold = kMap + 5 + kTellSize;
constexpr size_t kUnmap = kMapTold;  // munmap(r12); tell
constexpr size_t kUnmapTold = kUnmap + 15 + kTellSize;
constexpr size_t kHome = kUnmapTold;  // signal mask, registers, jump
constexpr size_t kTable = kHome + kHomeSize;
constexpr size_t kTableTold = kTable + kTableSize + kTellSize;  // then back to unmapping
constexpr size_t kAsk = kTableTold + 5;
constexpr size_t kAskTold = kAsk + kAskSize + kTellSize;  // then home
constexpr size_t kCopySize = 10;
constexpr size_t kCopyExitSize = 12;
constexpr size_t kCopy = kAskTold + 5;  // clone, as registers say; r14 = result; tell
constexpr size_t kCopyTold = kCopy + kCopySize + kTellSize;  // then back to unmapping
constexpr size_t kSpawn =
    kCopyTold + 5 + kCopyExitSize;      // clone; r14 = result; then tell as after a table
constexpr size_t kAside = kSpawn + 15;  // a system call of the new thread; then its end
constexpr size_t kAsideEnd = kAside + 5;
static_assert(kAsideEnd + 7 <= Healer::kCodeSize);

static_assert(sizeof(stack_t) == sizeof(Healer::AnswerSlot::altstack));

class Assembler {
 public:
  size_t offset() const { return code_.size(); }
  void Emit(std::initializer_list<int> bytes) {
    for (const int byte : bytes) code_.push_back(static_cast<std::byte>(byte));
  }
  void Emit32(uint32_t value) {
    for (int shift = 0; shift < 32; shift += 8) {
      code_.push_back(static_cast<std::byte>(value >> shift));
    }
  }
  void Syscall() { Emit({0x0f, 0x05}); }
  // mov $value, %r32 (the upper half becomes zero)
  void Immediate(int reg, uint32_t value) {
    if (reg >= 8) Emit({0x41});
    Emit({0xb8 | (reg & 7)});
    Emit32(value);
  }
  // mov target(%rip), %reg
  void Load(int reg, size_t target) {
    Emit({reg >= 8 ? 0x4c : 0x48, 0x8b, 0x05 | (reg & 7) << 3});
    Relative(target);
  }
  // mov offset(%r15), %reg
  void LoadFromPlace(int reg, size_t offset) {
    Emit({reg >= 8 ? 0x4d : 0x49, 0x8b, 0x47 | (reg & 7) << 3, static_cast<int>(offset)});
  }
  // jmp *target(%rip)
  void JumpThrough(size_t target) {
    Emit({0xff, 0x25});
    Relative(target);
  }
  // jmp target
  void Jump(size_t target) {
    Emit({0xe9});
    Relative(target);
  }
  std::vector<std::byte> Take(size_t size) {
    code_.resize(size);
    return std::move(code_);
  }

 private:
  void Relative(size_t target) { Emit32(static_cast<uint32_t>(target - (offset() + 4))); }

  std::vector<std::byte> code_;
};

// Sends the thread the signal in rbp. Its ids are asked for, because they are other numbers in its
// pid namespace than in ours.
void EmitTell(Assembler& assembler) {
  assembler.Immediate(kRax, SYS_getpid);
  assembler.Syscall();
  assembler.Emit({0x48, 0x89, 0xc7});  // mov %rax, %rdi
  assembler.Immediate(kRax, SYS_gettid);
  assembler.Syscall();
  assembler.Emit({0x48, 0x89, 0xc6});  // mov %rax, %rsi
  assembler.Emit({0x48, 0x89, 0xea});  // mov %rbp, %rdx
  assembler.Immediate(kRax, SYS_tgkill);
  assembler.Syscall();
}

// rbx: the next entry, r13: how many are left. No flag is changed: lea counts, and jrcxz looks.
void EmitTable(Assembler& assembler) {
  assembler.Emit({0x48, 0x8b, 0x03});        // mov (%rbx), %rax
  assembler.Emit({0x48, 0x8b, 0x7b, 0x08});  // mov 8(%rbx), %rdi
  assembler.Emit({0x48, 0x8b, 0x73, 0x10});  // mov 16(%rbx), %rsi
  assembler.Emit({0x48, 0x8b, 0x53, 0x18});  // mov 24(%rbx), %rdx
  assembler.Emit({0x4c, 0x8b, 0x53, 0x20});  // mov 32(%rbx), %r10
  assembler.Emit({0x4c, 0x8b, 0x43, 0x28});  // mov 40(%rbx), %r8
  assembler.Emit({0x4c, 0x8b, 0x4b, 0x30});  // mov 48(%rbx), %r9
  assembler.Syscall();
  assembler.Emit({0x48, 0x89, 0x43, 0x38});  // mov %rax, 56(%rbx)
  assembler.Emit({0x48, 0x8d, 0x9b});        // lea sizeof(TableEntry)(%rbx), %rbx
  assembler.Emit32(sizeof(Healer::TableEntry));
  assembler.Emit({0x4d, 0x8d, 0x6d, 0xff});  // lea -1(%r13), %r13
  assembler.Emit({0x4c, 0x89, 0xe9});        // mov %r13, %rcx
  assembler.Emit({0xe3, 0x02});              // jrcxz +2
  assembler.Emit({0xeb, 0xcd});              // jmp kTable
}

void EmitHome(Assembler& assembler) {
  // rt_sigprocmask(SIG_SETMASK, &sigmask, NULL, 8). Signals that waited are delivered when it
  // returns, here, on the thread's own untouched stack.
  assembler.Immediate(kRax, SYS_rt_sigprocmask);
  assembler.Immediate(kRdi, SIG_SETMASK);
  assembler.Emit({0x49, 0x8d, 0xb7});  // lea kSigmaskSlot(%r15), %rsi
  assembler.Emit32(kSigmaskSlot);
  assembler.Immediate(kRdx, 0);
  assembler.Immediate(kR10, 8);
  assembler.Syscall();
  size_t slot = kSlots;
  static_assert(kR15Slot - kSlot < 128);
  for (const int reg : kSavedRegisters) {
    if (reg != kPlaceRegister) assembler.LoadFromPlace(reg, slot);
    slot += kSlot;
  }
  assembler.Emit({0x41, 0xff, 0xe7});  // jmp *%r15
}

// prctl(option, r12 + offset)
void EmitPrctl(Assembler& assembler, int option, size_t offset) {
  assembler.Immediate(kRdi, static_cast<uint32_t>(option));
  assembler.Emit({0x49, 0x8d, 0x74, 0x24, static_cast<int>(offset)});  // lea offset(%r12), %rsi
  assembler.Immediate(kRax, SYS_prctl);
  assembler.Syscall();
}

// r12: the slot. r13 becomes the sum of what has to be 0, r14 the last answer.
void EmitAsk(Assembler& assembler) {
  assembler.Immediate(kRdi, 0);
  assembler.Emit({0x4c, 0x89, 0xe6});  // mov %r12, %rsi
  assembler.Immediate(kRax, SYS_sigaltstack);
  assembler.Syscall();
  assembler.Emit({0x49, 0x89, 0xc5});  // mov %rax, %r13
  EmitPrctl(assembler, PR_GET_TID_ADDRESS, offsetof(Healer::AnswerSlot, clear_child_tid));
  assembler.Emit({0x4d, 0x8d, 0x6c, 0x05, 0x00});  // lea (%r13,%rax), %r13
  EmitPrctl(assembler, PR_GET_PDEATHSIG, offsetof(Healer::AnswerSlot, pdeath_signal));
  assembler.Emit({0x4d, 0x8d, 0x6c, 0x05, 0x00});  // lea (%r13,%rax), %r13
  assembler.Immediate(kRdi, PR_GET_SECUREBITS);
  assembler.Immediate(kRax, SYS_prctl);
  assembler.Syscall();
  assembler.Emit({0x49, 0x89, 0xc6});  // mov %rax, %r14
}

// The copy is told apart without changing a flag, and goes to the end, where it exits: it runs only
// where there is no tracer to hold it.
void EmitCopy(Assembler& assembler) {
  assembler.Syscall();
  assembler.Emit({0x49, 0x89, 0xc6});                       // mov %rax, %r14
  assembler.Emit({0x48, 0x89, 0xc1});                       // mov %rax, %rcx
  assembler.Emit({0xe3, static_cast<int>(kTellSize + 5)});  // jrcxz, over the rest
  EmitTell(assembler);
  assembler.Jump(kUnmap);
  assembler.Immediate(kRdi, 0);
  assembler.Immediate(kRax, SYS_exit_group);
  assembler.Syscall();
}

// clone(2), as registers say. The new thread finds 0 in rax and ends, without a look at anything;
// after a system call with its result for a status.
void EmitSpawn(Assembler& assembler) {
  assembler.Syscall();
  assembler.Emit({0x48, 0x89, 0xc1});  // mov %rax, %rcx
  assembler.Emit({0xe3, 0x0d});        // jrcxz kAsideEnd
  assembler.Emit({0x49, 0x89, 0xc6});  // mov %rax, %r14
  assembler.Jump(kTable + kTableSize);
  assembler.Syscall();                  // kAside
  assembler.Emit({0x48, 0x89, 0xc7});   // mov %rax, %rdi
  assembler.Immediate(kRax, SYS_exit);  // kAsideEnd; whatever is in rdi
  assembler.Syscall();
}

GeneralRegisters At(const Healer::Guest& guest, RemoteAddress address) {
  GeneralRegisters registers = guest.registers;
  registers.rip = address.value();
  registers.r15 = guest.place.value();
  registers.rbp = static_cast<uint64_t>(guest.signal);
  // Not in a system call: the kernel must not apply its restart rules to what we load.
  registers.orig_rax = ~0ull;
  return registers;
}

}  // namespace

std::vector<std::byte> Healer::Code() {
  Assembler assembler;
  assembler.Syscall();                 // kMap
  assembler.Emit({0x49, 0x89, 0xc4});  // mov %rax, %r12
  EmitTell(assembler);
  assembler.Emit({0x4c, 0x89, 0xe7});  // kUnmap: mov %r12, %rdi
  assembler.Immediate(kRsi, kScratchSize);
  assembler.Immediate(kRax, SYS_munmap);
  assembler.Syscall();
  EmitTell(assembler);
  EmitHome(assembler);
  EmitTable(assembler);
  EmitTell(assembler);
  assembler.Jump(kUnmap);
  EmitAsk(assembler);
  EmitTell(assembler);
  assembler.Jump(kHome);
  EmitCopy(assembler);
  EmitSpawn(assembler);
  return assembler.Take(kCodeSize);
}

std::array<std::byte, Healer::kPlaceSize> Healer::PlaceBytes(const Context& context) {
  Assembler assembler;
  assembler.Load(kPlaceRegister, kR15Slot);
  assembler.JumpThrough(kRipSlot);
  const std::vector<std::byte> code = assembler.Take(kSlots);
  const GeneralRegisters& r = context.go_on;
  // As kSavedRegisters has them.
  const uint64_t slots[] = {r.rax, r.rcx, r.rdx, r.rbx, r.rbp, r.rsi, r.rdi, r.r8,           r.r9,
                            r.r10, r.r11, r.r12, r.r13, r.r14, r.r15, r.rip, context.sigmask};
  static_assert(sizeof slots == kPlaceSize - kSlots);
  std::array<std::byte, kPlaceSize> bytes;
  std::copy(code.begin(), code.end(), bytes.begin());
  std::memcpy(bytes.data() + kSlots, slots, sizeof slots);
  return bytes;
}

GeneralRegisters Healer::AtHome(const Guest& guest) const { return At(guest, base_ + kHome); }

Healer::Task Healer::Map(const Guest& guest, RemoteAddress scratch) const {
  GeneralRegisters registers = At(guest, base_ + kMap);
  registers.rax = SYS_mmap;
  registers.rdi = scratch.value();
  registers.rsi = kScratchSize;
  registers.rdx = PROT_READ | PROT_WRITE;
  registers.r10 = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
  registers.r8 = ~0ull;
  registers.r9 = 0;
  return {registers, base_ + kMapTold};
}

Healer::Task Healer::WorkThrough(const Guest& guest, RemoteAddress scratch, size_t count) const {
  GeneralRegisters registers = At(guest, base_ + kTable);
  registers.rbx = scratch.value();
  registers.r12 = scratch.value();
  registers.r13 = count;
  return {registers, base_ + kTableTold};
}

Healer::Task Healer::Spawn(const Guest& guest, RemoteAddress scratch, uint64_t shares) const {
  GeneralRegisters registers = At(guest, base_ + kSpawn);
  registers.rax = SYS_clone;
  registers.rdi = CLONE_VM | CLONE_SIGHAND | CLONE_THREAD | CLONE_PTRACE | shares;
  registers.rsi = registers.rdx = registers.r10 = registers.r8 = 0;
  registers.r12 = scratch.value();
  return {registers, base_ + kTableTold};
}

GeneralRegisters Healer::Aside(GeneralRegisters registers, long number,
                               const std::array<uint64_t, 3>& arguments) const {
  registers.rip = (base_ + kAside).value();
  registers.rax = static_cast<uint64_t>(number);
  registers.rdi = arguments[0];
  registers.rsi = arguments[1];
  registers.rdx = arguments[2];
  registers.orig_rax = ~0ull;
  return registers;
}

std::optional<int64_t> Healer::ResultOfAside(const GeneralRegisters& at_end) {
  if (at_end.orig_rax != SYS_exit) return std::nullopt;
  return static_cast<int64_t>(at_end.rdi);
}

Healer::Task Healer::Unmap(const Guest& guest, RemoteAddress scratch) const {
  GeneralRegisters registers = At(guest, base_ + kUnmap);
  registers.r12 = scratch.value();
  return {registers, base_ + kUnmapTold};
}

Healer::Task Healer::Copy(const Guest& guest, RemoteAddress scratch, uint64_t flags) const {
  GeneralRegisters registers = At(guest, base_ + kCopy);
  registers.rax = SYS_clone;
  registers.rdi = flags;
  registers.rsi = registers.rdx = registers.r10 = registers.r8 = 0;
  registers.r12 = scratch.value();
  return {registers, base_ + kCopyTold};
}

Healer::Task Healer::Ask(const Guest& guest, RemoteAddress slot) const {
  GeneralRegisters registers = At(guest, base_ + kAsk);
  registers.r12 = slot.value();
  return {registers, base_ + kAskTold};
}

std::optional<ThreadAnswers> Healer::AnswersOf(const GeneralRegisters& told,
                                               const AnswerSlot& slot) {
  if (told.r13 != 0 || static_cast<int64_t>(told.r14) < 0) return std::nullopt;
  stack_t stack;
  std::memcpy(&stack, &slot.altstack, sizeof stack);
  return ThreadAnswers{.altstack_base = reinterpret_cast<uint64_t>(stack.ss_sp),
                       .altstack_size = stack.ss_size,
                       .altstack_flags = static_cast<uint32_t>(stack.ss_flags),
                       .clear_child_tid = slot.clear_child_tid,
                       .pdeath_signal = slot.pdeath_signal,
                       .securebits = static_cast<uint32_t>(told.r14)};
}

RemoteAddress Healer::RandomScratch() {
  // Programs lie at the low end or above 0x5500'0000'0000, the kernel places mappings downwards
  // from 0x7fff'ffff'f000 (or, where the stack has no limit, upwards from 0x2aaa'aaaa'b000).
  constexpr uint64_t kBegin = 0x3000'0000'0000;
  constexpr uint64_t kEnd = 0x5000'0000'0000;
  uint64_t random = 0;
  // Never fails for so few bytes, nor waits where a process can be dumped.
  (void)!getrandom(&random, sizeof random, 0);
  return RemoteAddress(kBegin + random % ((kEnd - kBegin) / kScratchSize) * kScratchSize);
}

}  // namespace dumpctl
