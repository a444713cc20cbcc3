#ifndef PROC_VM_FLAG_TABLE_H_
#define PROC_VM_FLAG_TABLE_H_

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "absl/status/statusor.h"
#include "dumpctl/vma.h"

namespace dumpctl {

// The flags of one mapping as the kernel keeps them, and as smaps prints them.
struct VmFlagSample {
  uint64_t bits = 0;  // vm_area_struct.vm_flags
  std::string codes;  // what follows "VmFlags:"
};

// What the bits of vm_area_struct.vm_flags mean. They are the kernel's own business and differ
// between releases and configurations, so they are learnt from mappings that are told in both ways:
// smaps prints a code for each bit that is set, the lowest bit first (fs/proc/task_mmu.c). Where
// the samples bear that out, a bit means the code that stands and falls with it.
class VmFlagTable {
 public:
  // What it says, in plain numbers.
  struct Plain {
    uint64_t known = 0;                 // bits
    std::array<VmFlag, 64> flags = {};  // by bit
  };

  explicit VmFlagTable(const Plain& plain) : plain_(plain) {}
  const Plain& plain() const { return plain_; }

  // FailedPrecondition when the samples contradict that or each other, DataLoss for codes that are
  // none. A sample with other than one code a bit teaches nothing (bits of protection keys have no
  // code), but has to agree with what is learnt from the others.
  static absl::StatusOr<VmFlagTable> Learn(std::span<const VmFlagSample> samples);

  // None when a bit is set that no sample told of: its code may be one that matters.
  std::optional<VmFlags> Translate(uint64_t bits) const;

  // Whether some bit that it knows means `flag`.
  bool Knows(VmFlag flag) const;

 private:
  Plain plain_;
};

}  // namespace dumpctl

#endif  // PROC_VM_FLAG_TABLE_H_
