#ifndef PROC_BPF_FILE_PROGRAM_H_
#define PROC_BPF_FILE_PROGRAM_H_

#include <linux/bpf.h>

#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace dumpctl {

// The program of a BPF iterator (iter/task_file, Linux 6.1) that hands out a KernelFile for each
// descriptor of a task.
struct BpfFileProgram {
  uint32_t function = 0;  // BTF id of its attach point
  std::vector<bpf_insn> instructions;
};

// For the kernel that this is the BTF of. Errors: those of Btf; NotFound before Linux 6.12, which
// keeps owners elsewhere.
absl::StatusOr<BpfFileProgram> MakeFileProgram(std::string_view btf);
// For the running one. Errors: KernelBtf::Open's as well.
absl::StatusOr<BpfFileProgram> MakeFileProgram();

}  // namespace dumpctl

#endif  // PROC_BPF_FILE_PROGRAM_H_
