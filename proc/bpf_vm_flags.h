#ifndef PROC_BPF_VM_FLAGS_H_
#define PROC_BPF_VM_FLAGS_H_

#include <sys/types.h>

#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "dumpctl/unique_fd.h"
#include "dumpctl/vma.h"
#include "proc/vm_flag_table.h"

namespace dumpctl {

// VmFlags of one task's mappings without its smaps.
class BpfVmFlags {
 public:
  // Loads what it takes: some 4 ms of CPU time, which only many mappings or much memory are worth.
  // `pid` as this process's pid namespace counts. Errors: whatever stands in the way, all of which
  // mean to read smaps instead.
  static absl::StatusOr<BpfVmFlags> Load(pid_t pid);

  // Of all mappings that the task has now, ascending, as smaps would tell them. Once. NotFound when
  // a flag is set whose code was not learnt: then again only smaps tells.
  absl::StatusOr<std::vector<MappingFlags>> Read() const;

 private:
  BpfVmFlags(VmFlagTable table, std::vector<MappingFlags> of_every_task, UniqueFd attached)
      : table_(std::move(table)),
        of_every_task_(std::move(of_every_task)),
        attached_(std::move(attached)) {}

  VmFlagTable table_;
  std::vector<MappingFlags> of_every_task_;
  UniqueFd attached_;
};

}  // namespace dumpctl

#endif  // PROC_BPF_VM_FLAGS_H_
