#ifndef PROC_BPF_PROGRAM_H_
#define PROC_BPF_PROGRAM_H_

#include <linux/bpf.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "absl/status/statusor.h"
#include "dumpctl/unique_fd.h"

namespace dumpctl {

// The bytes of the running kernel's BTF: see Btf.
class KernelBtf {
 public:
  // NotFound where the kernel has none.
  static absl::StatusOr<KernelBtf> Open();

  KernelBtf(KernelBtf&& other) noexcept;
  KernelBtf& operator=(KernelBtf&&) = delete;
  ~KernelBtf();

  std::string_view bytes() const;

 private:
  KernelBtf() = default;
  absl::Status Read(const UniqueFd& file);

  size_t size_ = 0;
  void* mapped_ = nullptr;
  std::unique_ptr<char[]> read_;
};

// BPF iterators (Linux 5.8; of one task alone, 6.1), whose few instructions are put together here,
// with what the kernel's BTF tells of the places of fields. The usual way (a compiler for BPF,
// libbpf and CO-RE) does that for any program, and takes 100 ms of relocation for it.

// Loads one; `function` is the BTF id of its attach point. Errors: whatever keeps it from being
// loaded: PermissionDenied without CAP_BPF and CAP_PERFMON (or CAP_SYS_ADMIN), and others.
absl::StatusOr<UniqueFd> LoadBpfIterator(uint32_t function, std::span<const bpf_insn> instructions);

// To be read from once: what it tells of the thread `tid` of this process's pid namespace then.
absl::StatusOr<UniqueFd> AttachBpfIterator(const UniqueFd& program, pid_t tid);
// The same of all threads of the process `pid`.
absl::StatusOr<UniqueFd> AttachBpfIteratorToProcess(const UniqueFd& program, pid_t pid);

// A map of one value of `size` bytes, for a program's own use.
absl::StatusOr<UniqueFd> CreateBpfScratch(uint32_t size);

// The same with a value for each processor.
absl::StatusOr<UniqueFd> CreateBpfPerProcessor(uint32_t size);

// --- Instructions (Documentation/bpf/standardization/instruction-set.rst).

namespace bpf {

constexpr bpf_insn Load64(uint8_t to, uint8_t base, uint32_t offset) {
  return {BPF_LDX | BPF_MEM | BPF_DW, to, base, static_cast<int16_t>(offset), 0};
}
constexpr bpf_insn Load32(uint8_t to, uint8_t base, uint32_t offset) {
  return {BPF_LDX | BPF_MEM | BPF_W, to, base, static_cast<int16_t>(offset), 0};
}
constexpr bpf_insn Store64(uint8_t base, int offset, uint8_t from) {
  return {BPF_STX | BPF_MEM | BPF_DW, base, from, static_cast<int16_t>(offset), 0};
}
constexpr bpf_insn Copy(uint8_t to, uint8_t from) {
  return {BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0};
}
constexpr bpf_insn Set(uint8_t to, int value) {
  return {BPF_ALU64 | BPF_MOV | BPF_K, to, 0, 0, value};
}
constexpr bpf_insn Add(uint8_t to, int value) {
  // NOLINTNEXTLINE(misc-redundant-expression): both are 0, and say what they are.
  return {BPF_ALU64 | BPF_ADD | BPF_K, to, 0, 0, value};
}
constexpr bpf_insn AddRegister(uint8_t to, uint8_t from) {
  return {BPF_ALU64 | BPF_ADD | BPF_X, to, from, 0, 0};
}
constexpr bpf_insn SubtractRegister(uint8_t to, uint8_t from) {
  return {BPF_ALU64 | BPF_SUB | BPF_X, to, from, 0, 0};
}
constexpr bpf_insn OrRegister(uint8_t to, uint8_t from) {
  return {BPF_ALU64 | BPF_OR | BPF_X, to, from, 0, 0};
}
constexpr bpf_insn And(uint8_t what, int value) {
  return {BPF_ALU64 | BPF_AND | BPF_K, what, 0, 0, value};
}
constexpr bpf_insn ShiftLeft(uint8_t what, int bits) {
  return {BPF_ALU64 | BPF_LSH | BPF_K, what, 0, 0, bits};
}
constexpr bpf_insn ShiftRight(uint8_t what, int bits) {
  return {BPF_ALU64 | BPF_RSH | BPF_K, what, 0, 0, bits};
}
constexpr bpf_insn Skip(int instructions) {
  return {BPF_JMP | BPF_JA, 0, 0, static_cast<int16_t>(instructions), 0};
}
constexpr bpf_insn SkipIfZero(uint8_t what, int instructions) {
  return {BPF_JMP | BPF_JEQ | BPF_K, what, 0, static_cast<int16_t>(instructions), 0};
}
constexpr bpf_insn SkipIfEqual(uint8_t what, int value, int instructions) {
  return {BPF_JMP | BPF_JEQ | BPF_K, what, 0, static_cast<int16_t>(instructions), value};
}
constexpr bpf_insn SkipUnlessEqual(uint8_t what, int value, int instructions) {
  return {BPF_JMP | BPF_JNE | BPF_K, what, 0, static_cast<int16_t>(instructions), value};
}
constexpr bpf_insn CallKernel(uint32_t function) {
  return {BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_KFUNC_CALL, 0, static_cast<int>(function)};
}
constexpr bpf_insn Call(int function) { return {BPF_JMP | BPF_CALL, 0, 0, 0, function}; }
constexpr bpf_insn Return() { return {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}; }

}  // namespace bpf

}  // namespace dumpctl

#endif  // PROC_BPF_PROGRAM_H_
