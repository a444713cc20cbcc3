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
constexpr size_t kContextSize = 18 * kSlot;

// Lengths of pieces of code, and where they lie. Each but the home falls through to the next.
constexpr size_t kTellSize = 30;
constexpr size_t kHomeSize = 141;
constexpr size_t kTableSize = 51;
constexpr size_t kMap = 0;  // mmap, as registers say; r12 = result; tell
constexpr size_t kMapTold = kMap + 5 + kTellSize;
constexpr size_t kUnmap = kMapTold;  // munmap(r12); tell
constexpr size_t kUnmapTold = kUnmap + 15 + kTellSize;
constexpr size_t kHome = kUnmapTold;  // signal mask, registers, jump
constexpr size_t kTable = kHome + kHomeSize;
constexpr size_t kTableTold = kTable + kTableSize + kTellSize;  // then back to unmapping
constexpr size_t kCodeEnd = kTableTold + 5;
constexpr size_t kContext = (kCodeEnd + 7) / 8 * 8;
static_assert(kContext + kContextSize <= Healer::kSize);

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
  assembler.LoadAddress(kRsi, kContext + kSigmaskSlot);
  assembler.Immediate(kRdx, 0);
  assembler.Immediate(kR10, 8);
  assembler.Syscall();
  for (int reg = kRax; reg <= kR15; ++reg) {
    if (reg != kRsp) assembler.Load(reg, kContext + static_cast<size_t>(reg) * kSlot);
  }
  assembler.JumpThrough(kContext + kRipSlot);
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
  return assembler.Take(kSize);
}

RemoteAddress Healer::ContextAddress() const { return base_ + kContext; }

std::vector<std::byte> Healer::ContextBytes(const Context& context) {
  const GeneralRegisters& r = context.go_on;
  const std::array<uint64_t, kContextSize / kSlot> slots = {
      r.rax, r.rcx, r.rdx, r.rbx, 0,     r.rbp, r.rsi, r.rdi, r.r8,
      r.r9,  r.r10, r.r11, r.r12, r.r13, r.r14, r.r15, r.rip, context.sigmask};
  std::vector<std::byte> bytes(sizeof slots);
  std::memcpy(bytes.data(), slots.data(), sizeof slots);
  return bytes;
}

GeneralRegisters Healer::AtHome(const GeneralRegisters& from) const {
  return At(from, base_ + kHome);
}

Healer::Task Healer::Map(const GeneralRegisters& from, RemoteAddress wanted, int signal) const {
  GeneralRegisters registers = At(from, base_ + kMap);
  registers.rax = SYS_mmap;
  registers.rdi = wanted.value();
  registers.rsi = kScratchSize;
  registers.rdx = PROT_READ | PROT_WRITE;
  registers.r10 = MAP_PRIVATE | MAP_ANONYMOUS | (wanted ? MAP_FIXED_NOREPLACE : 0);
  registers.r8 = ~0ull;
  registers.r9 = 0;
  registers.rbp = static_cast<uint64_t>(signal);
  return {registers, base_ + kMapTold};
}

Healer::Task Healer::WorkThrough(const GeneralRegisters& from, RemoteAddress scratch, size_t count,
                                 int signal) const {
  GeneralRegisters registers = At(from, base_ + kTable);
  registers.rbx = scratch.value();
  registers.r12 = scratch.value();
  registers.r13 = count;
  registers.rbp = static_cast<uint64_t>(signal);
  return {registers, base_ + kTableTold};
}

Healer::Task Healer::Unmap(const GeneralRegisters& from, RemoteAddress scratch, int signal) const {
  GeneralRegisters registers = At(from, base_ + kUnmap);
  registers.r12 = scratch.value();
  registers.rbp = static_cast<uint64_t>(signal);
  return {registers, base_ + kUnmapTold};
}

}  // namespace dumpctl
