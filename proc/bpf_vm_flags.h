#ifndef PROC_BPF_VM_FLAGS_H_
#define PROC_BPF_VM_FLAGS_H_

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "dumpctl/file_identity.h"
#include "dumpctl/unique_fd.h"
#include "dumpctl/vma.h"
#include "proc/bpf_vma_iterator.h"
#include "proc/vm_flag_table.h"

namespace dumpctl {

class LayoutStore;

// Where the memory of a mapping comes from.
struct MappingSource {
  FileIdentity file;    // not valid() where there is none
  uint64_t offset = 0;  // in the file, bytes
  bool plain = false;   // memory that nobody but the task made anything of
  // Private memory into which no page of its own was ever put: nothing was written there, and it
  // has no guards.
  bool untouched = false;
  // It may have a name of its own: [heap], what its task called it, and the like.
  bool may_be_named = false;
  // By what its file was opened; as long as it is, the same numbers are the same file by the same
  // name.
  uint64_t dentry = 0;
  uint64_t mount = 0;
};

struct BpfMappings {
  std::vector<MappingFlags> flags;     // ascending
  std::vector<MappingSource> sources;  // of each
  // The last ones, which are every task's, as smaps has them of us.
  std::vector<Mapping> of_every_task;
};

// VmFlags of the mappings of some tasks without their smaps, and what their maps tell, but names.
class BpfVmFlags {
 public:
  // Loads what it takes: some 1 ms of CPU time, or 4 where nothing is kept of the kernel
  // (LayoutStore), which only many mappings or much memory are worth.
  // Errors: whatever stands in the way, all of which mean to read smaps instead.
  static absl::StatusOr<BpfVmFlags> Load();
  // Where what the bits mean is kept, which is learnt once.
  static absl::StatusOr<BpfVmFlags> Load(const LayoutStore& store);
  // Whether anything is kept for the next Load().
  static bool IsKept();

  // Makes reading a task's flags quicker; `pid` as this process's pid namespace counts.
  absl::Status Attach(pid_t pid);

  // Of all mappings that the task has now, ascending, as smaps would tell them. What was attached
  // is used up by the first of it. NotFound when a flag is set whose code was not learnt: then
  // again only smaps tells.
  absl::StatusOr<BpfMappings> Read(pid_t pid) const;
  // The same, and leaves what was attached for later. `expect` is told of about how many there are
  // before any of them takes memory.
  absl::StatusOr<BpfMappings> ReadBefore(pid_t pid, absl::FunctionRef<void(size_t)> expect) const;

 private:
  BpfVmFlags(BpfVmaIterator iterator, VmFlagTable table, std::vector<Mapping> of_every_task)
      : iterator_(std::move(iterator)),
        table_(std::move(table)),
        of_every_task_(std::move(of_every_task)) {}

  absl::StatusOr<BpfMappings> ReadFrom(const UniqueFd& attached,
                                       absl::FunctionRef<void(size_t)> expect) const;

  BpfVmaIterator iterator_;
  VmFlagTable table_;
  std::vector<Mapping> of_every_task_;
  std::map<pid_t, UniqueFd> attached_;
};

}  // namespace dumpctl

#endif  // PROC_BPF_VM_FLAGS_H_
