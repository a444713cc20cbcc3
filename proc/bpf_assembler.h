#ifndef PROC_BPF_ASSEMBLER_H_
#define PROC_BPF_ASSEMBLER_H_

#include <linux/bpf.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "dumpctl/unique_fd.h"
#include "proc/bpf_program.h"
#include "proc/btf_parser.h"

namespace dumpctl {

// Where the running kernel keeps what every iterator's program begins with, in bytes.
struct BpfContextLayout {
  uint32_t meta = 0;
  uint32_t seq = 0;
};

// What the running kernel has of an iterator.
struct BpfIterator {
  uint32_t function = 0;  // BTF id of its attach point
  BtfType context;        // what its program is given
  BpfContextLayout layout;
  std::vector<BtfType> others;
};

// `of`: "task_file" and its like. `others` are found with it, in their order.
//
// Errors: those of Btf::Find and Btf::OffsetOf; NotFound before Linux 6.1, whose iterators pass
// over which task they are to tell of, and tell of all.
absl::StatusOr<BpfIterator> FindBpfIterator(Btf& btf, std::string_view of,
                                            std::span<const BtfName> others);

// A struct whose type is asked for: Btf::StructOf.
struct BtfPart {
  BtfType* found;
  const BtfType& type;  // may be one that was found before it
  std::string_view member;
};
absl::Status FindParts(const Btf& btf, std::span<const BtfPart> parts);

// A member of a struct whose place is asked for.
struct BtfField {
  uint32_t* place;
  const BtfType& type;
  std::string_view member;
};

// Errors: those of Btf::OffsetOf; DataLoss where one lies farther away than an instruction reaches.
absl::Status FindFields(const Btf& btf, std::span<const BtfField> fields);

// Puts the program of an iterator together, with registers 6 to 9 for what it keeps. It hands out
// records, and ends early where something is not there.
class BpfAssembler {
 public:
  void Add(const bpf_insn& instruction) { instructions_.push_back(instruction); }

  // A jump whose distance is filled in later: to the end, or to where Here says.
  void EndIf(const bpf_insn& jump) { JumpTo(ends_, jump); }
  void EndIfZero(uint8_t what);
  void JumpTo(std::vector<size_t>& jumps, const bpf_insn& jump);
  void Here(const std::vector<size_t>& jumps);
  // What has ended so far goes on here instead.
  void EndHere();

  // The kernel's memory at `from` + `offset` to `to` + `place`; where there is none, zeros.
  void Fetch(uint8_t to, int place, size_t size, uint8_t from, uint32_t offset);
  // The same from where register 3 points to.
  void FetchAt3(uint8_t to, int place, size_t size);
  // A pointer from there; the program ends where that is null. By way of the stack (at -16).
  void FetchPointer(uint8_t to, uint8_t from, uint32_t offset);

  // The same two of what the kernel knows the type of: `from` is a pointer of the context, or one
  // that was loaded so. Many times faster, for no function is called.
  void Load(int place, size_t size, uint8_t from, uint32_t offset);
  void LoadPointer(uint8_t to, uint8_t from, uint32_t offset);
  // `from` + `distance`, whatever that is, as a pointer that Load takes: to the struct whose BTF id
  // is `type`. By bpf_rdonly_cast (Linux 6.2), whose own id is `cast`; it is no call in the end.
  // Where there is no memory, zeros are loaded. Registers 1 to 5 are lost.
  void Cast(uint8_t to, uint8_t from, int distance, uint32_t cast, uint32_t type);

  // A string of the kernel's that register 3 points to, its end included, as far as `size` allows.
  void FetchTextAt3(uint8_t to, int place, size_t size);

  // The map that a descriptor refers to.
  void LoadMap(uint8_t to, int map);
  // The value of a map of one. By way of the stack (at -8), where the key 0 stays.
  void FindValue(uint8_t to, int map);

  // `size` bytes at `from` + `place` to who reads the iterator. `context`: what register 1 was when
  // the program began.
  void HandOut(const BpfContextLayout& layout, uint8_t context, uint8_t from, int place,
               size_t size);
  // The same in two: where it is handed out to, and that, where one is loaded before ways part. On
  // each of them the verifier would look for its type among the names of all, which takes 50 us.
  void LoadSequence(uint8_t to, const BpfContextLayout& layout, uint8_t context);
  void HandOutBy(uint8_t sequence, uint8_t from, int place, size_t size);

  // The whole program.
  std::vector<bpf_insn> Finish() &&;

  static constexpr int kKey = -8;       // on the stack
  static constexpr int kPointer = -16;  // on the stack

 private:
  void CallAt3(int function, uint8_t to, int place, size_t size);

  std::vector<bpf_insn> instructions_;
  std::vector<size_t> ends_;
};

// The same for a program that makes its record on its stack, below what the assembler uses there.
template <typename Record>
class BpfStackAssembler : public BpfAssembler {
 protected:
  static constexpr int kRecord = kPointer - static_cast<int>(sizeof(Record));
  static_assert(sizeof(Record) % sizeof(uint64_t) == 0);

  // To begin with, for all of it must have been written to before it is handed out.
  void Clear() {
    Add(bpf::Set(BPF_REG_1, 0));
    for (size_t place = 0; place < sizeof(Record); place += sizeof(uint64_t)) {
      Add(bpf::Store64(BPF_REG_10, kRecord + static_cast<int>(place), BPF_REG_1));
    }
  }

  // The kernel's memory at `from` + `offset` to that place of the record; zeros as Fetch has it.
  void FetchField(size_t place, size_t size, uint8_t from, uint32_t offset) {
    Fetch(BPF_REG_10, kRecord + static_cast<int>(place), size, from, offset);
  }
  void LoadField(size_t place, size_t size, uint8_t from, uint32_t offset) {
    Load(kRecord + static_cast<int>(place), size, from, offset);
  }
};

// All that an attached iterator (AttachBpfIterator) hands out, in records of `size` bytes, until
// `take` wants no more. Errors: of read(2), DataLoss of a part of a record, and those of `take`.
absl::Status ReadBpfRecords(const UniqueFd& attached, size_t size,
                            const std::function<absl::StatusOr<bool>(std::string_view)>& take);

}  // namespace dumpctl

#endif  // PROC_BPF_ASSEMBLER_H_
