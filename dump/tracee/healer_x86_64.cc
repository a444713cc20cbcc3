#include "dump/tracee/healer_x86_64.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>

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

// A context in memory: one slot a register (rsp's is unused: it never changes), then the rest.
constexpr size_t kSlot = 8;
constexpr size_t kRipSlot = 16 * kSlot;
constexpr size_t kSigmaskSlot = 17 * kSlot;
constexpr size_t kScratchSlot = 18 * kSlot;
constexpr size_t kContextSize = 19 * kSlot;

// A context is never entered without its registers, so all of the code is one sequence:
constexpr size_t kMapEntry = 0;    // syscall; then rdi = result, and on to unmapping it
constexpr size_t kUnmapEntry = 5;  // (rdi, rsi set) munmap
constexpr size_t kHostHome = 17;   // sigmask, registers, jump
constexpr size_t kHomeSize = 141;
constexpr size_t kHostDone = kHostHome + kHomeSize;  // rdi = scratch; to unmapping
constexpr size_t kGuestHome = kHostDone + 12;
constexpr size_t kTable = kGuestHome + kHomeSize;  // works through a table; then to r13
constexpr size_t kBehindCall = kTable + 29;        // where each system call of a table returns to
constexpr size_t kCodeEnd = kTable + 51;
constexpr size_t kHostContext = (kCodeEnd + 7) / 8 * 8;
constexpr size_t kGuestContext = kHostContext + kContextSize;
static_assert(kGuestContext + kContextSize <= Healer::kSize);

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
  // lea target(%rip), %reg
  void LoadAddress(int reg, size_t target) {
    Emit({reg >= 8 ? 0x4c : 0x48, 0x8d, 0x05 | (reg & 7) << 3});
    Relative(target);
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

// rbx: the next entry, rbp: how many are left, r13: where to go then. No flag is changed: lea
// counts, and jrcxz looks.
void EmitTable(Assembler& assembler) {
  assembler.Emit({0x48, 0x8b, 0x03});        // mov (%rbx), %rax
  assembler.Emit({0x48, 0x8b, 0x7b, 0x08});  // mov 8(%rbx), %rdi
  assembler.Emit({0x48, 0x8b, 0x73, 0x10});  // mov 16(%rbx), %rsi
  assembler.Emit({0x48, 0x8b, 0x53, 0x18});  // mov 24(%rbx), %rdx
  assembler.Emit({0x4c, 0x8b, 0x53, 0x20});  // mov 32(%rbx), %r10
  assembler.Emit({0x4c, 0x8b, 0x43, 0x28});  // mov 40(%rbx), %r8
  assembler.Emit({0x4c, 0x8b, 0x4b, 0x30});  // mov 48(%rbx), %r9
  assembler.Syscall();
  assembler.Emit({0x48, 0x89, 0x43, 0x38});  // kBehindCall: mov %rax, 56(%rbx)
  assembler.Emit({0x48, 0x8d, 0x5b, 0x40});  // lea 64(%rbx), %rbx
  assembler.Emit({0x48, 0x8d, 0x6d, 0xff});  // lea -1(%rbp), %rbp
  assembler.Emit({0x48, 0x89, 0xe9});        // mov %rbp, %rcx
  assembler.Emit({0xe3, 0x02});              // jrcxz +2
  assembler.Emit({0xeb, 0xd0});              // jmp kTable
  assembler.Emit({0x41, 0xff, 0xe5});        // jmp *%r13
}

void EmitHome(Assembler& assembler, size_t context) {
  // rt_sigprocmask(SIG_SETMASK, &sigmask, NULL, 8). Signals that waited are delivered when it
  // returns, here, on the thread's own untouched stack.
  assembler.Immediate(kRax, SYS_rt_sigprocmask);
  assembler.Immediate(kRdi, SIG_SETMASK);
  assembler.LoadAddress(kRsi, context + kSigmaskSlot);
  assembler.Immediate(kRdx, 0);
  assembler.Immediate(kR10, 8);
  assembler.Syscall();
  for (int reg = kRax; reg <= kR15; ++reg) {
    if (reg != kRsp) assembler.Load(reg, context + static_cast<size_t>(reg) * kSlot);
  }
  assembler.JumpThrough(context + kRipSlot);
}

GeneralRegisters At(const GeneralRegisters& from, RemoteAddress address) {
  GeneralRegisters registers = from;
  registers.rip = address.value();
  // Not in a system call: the kernel must not apply its restart rules to what we load.
  registers.orig_rax = ~0ull;
  return registers;
}

}  // namespace

std::vector<std::byte> Healer::Code() const {
  Assembler assembler;
  assembler.Syscall();                      // kMapEntry
  assembler.Emit({0x48, 0x89, 0xc7});       // mov %rax, %rdi
  assembler.Immediate(kRsi, kScratchSize);  // kUnmapEntry
  assembler.Immediate(kRax, SYS_munmap);
  assembler.Syscall();
  EmitHome(assembler, kHostContext);                  // kHostHome
  assembler.Load(kRdi, kHostContext + kScratchSlot);  // kHostDone
  assembler.Jump(kUnmapEntry);
  EmitHome(assembler, kGuestContext);  // kGuestHome
  EmitTable(assembler);                // kTable
  return assembler.Take(kSize);
}

RemoteAddress Healer::ContextAddress(Role role) const {
  return base_ + (role == kHost ? kHostContext : kGuestContext);
}

std::vector<std::byte> Healer::ContextBytes(const Context& context) {
  const GeneralRegisters& r = context.go_on;
  const std::array<uint64_t, kContextSize / kSlot> slots = {r.rax,
                                                            r.rcx,
                                                            r.rdx,
                                                            r.rbx,
                                                            0,
                                                            r.rbp,
                                                            r.rsi,
                                                            r.rdi,
                                                            r.r8,
                                                            r.r9,
                                                            r.r10,
                                                            r.r11,
                                                            r.r12,
                                                            r.r13,
                                                            r.r14,
                                                            r.r15,
                                                            r.rip,
                                                            context.sigmask,
                                                            context.scratch.value()};
  std::vector<std::byte> bytes(sizeof slots);
  std::memcpy(bytes.data(), slots.data(), sizeof slots);
  return bytes;
}

GeneralRegisters Healer::AtHome(const GeneralRegisters& from, Role role) const {
  return At(from, base_ + (role == kHost ? kHostHome : kGuestHome));
}

GeneralRegisters Healer::AtTable(const GeneralRegisters& from, Role role, RemoteAddress table,
                                 size_t count) const {
  GeneralRegisters registers = At(from, base_ + kTable);
  registers.rbx = table.value();
  registers.rbp = count;
  registers.r13 = (base_ + (role == kHost ? kHostDone : kGuestHome)).value();
  return registers;
}

bool Healer::IsBehindTable(const GeneralRegisters& registers) const {
  return registers.rip == (base_ + kBehindCall).value() && registers.rbp == 1;
}

GeneralRegisters Healer::AtMap(const GeneralRegisters& from) const {
  GeneralRegisters registers = At(from, base_ + kMapEntry);
  registers.rax = SYS_mmap;
  registers.rdi = 0;
  registers.rsi = kScratchSize;
  registers.rdx = PROT_READ | PROT_WRITE;
  registers.r10 = MAP_PRIVATE | MAP_ANONYMOUS;
  registers.r8 = ~0ull;
  registers.r9 = 0;
  return registers;
}

GeneralRegisters Healer::AtUnmap(const GeneralRegisters& from, RemoteAddress scratch) const {
  GeneralRegisters registers = At(from, base_ + kUnmapEntry);
  registers.rdi = scratch.value();
  return registers;
}

}  // namespace dumpctl
