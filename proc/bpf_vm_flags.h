#ifndef PROC_BPF_VM_FLAGS_H_
#define PROC_BPF_VM_FLAGS_H_

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "dumpctl/file_identity.h"
#include "dumpctl/unique_fd.h"
#include "dumpctl/vma.h"
#include "proc/bpf_vma_iterator.h"
#include "proc/vm_flag_table.h"

namespace dumpctl {

// Where the memory of a mapping comes from.
struct MappingSource {
  FileIdentity file;    // not valid() where there is none
  uint64_t offset = 0;  // in the file, bytes
  bool plain = false;   // memory that nobody but the task made anything of
};

struct BpfMappings {
  std::vector<MappingFlags> flags;     // ascending
  std::vector<MappingSource> sources;  // of each
};

// VmFlags of the mappings of some tasks without their smaps, and what their maps tell, but names.
class BpfVmFlags {
 public:
  // Loads what it takes: some 4 ms of CPU time, which only many mappings or much memory are worth.
  // Errors: whatever stands in the way, all of which mean to read smaps instead.
  static absl::StatusOr<BpfVmFlags> Load();

  // Makes reading a task's flags quicker; `pid` as this process's pid namespace counts.
  absl::Status Attach(pid_t pid);

  // Of all mappings that the task has now, ascending, as smaps would tell them. Once for each task.
  // NotFound when a flag is set whose code was not learnt: then again only smaps tells.
  absl::StatusOr<BpfMappings> Read(pid_t pid) const;

 private:
  BpfVmFlags(BpfVmaIterator iterator, VmFlagTable table, std::vector<MappingFlags> of_every_task)
      : iterator_(std::move(iterator)),
        table_(std::move(table)),
        of_every_task_(std::move(of_every_task)) {}

  BpfVmaIterator iterator_;
  VmFlagTable table_;
  std::vector<MappingFlags> of_every_task_;
  std::map<pid_t, UniqueFd> attached_;
};

}  // namespace dumpctl

#endif  // PROC_BPF_VM_FLAGS_H_
