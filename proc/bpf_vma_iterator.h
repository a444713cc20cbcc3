#ifndef PROC_BPF_VMA_ITERATOR_H_
#define PROC_BPF_VMA_ITERATOR_H_

#include <sys/types.h>

#include <cstdint>
#include <string_view>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "dumpctl/unique_fd.h"
#include "proc/bpf_assembler.h"

namespace dumpctl {

// One mapping as the kernel keeps it.
struct VmaRecord {
  uint64_t start;
  uint64_t end;
  uint64_t flags;     // vm_area_struct.vm_flags: see VmFlagTable
  uint64_t page;      // of its file, or of nothing
  uint64_t inode;     // of its file; 0: none
  uint32_t device;    // its file system's, as the kernel counts (20 bits of minor number)
  uint32_t mappings;  // how many its task has
  // Addresses in the kernel, or 0: to be compared, and no more.
  uint64_t dentry;       // what its file was opened by, with the next
  uint64_t mount;        // the same
  uint64_t operations;   // what makes it more than plain memory
  uint64_t anon_memory;  // what its own pages belong to: none, before the first of them comes
  uint64_t anon_name;    // that its task gave it (PR_SET_VMA_ANON_NAME of prctl(2))
  // Of its task, as addresses there.
  uint64_t heap_start;
  uint64_t heap_end;
  uint64_t stack;  // where it began
};
static_assert(sizeof(VmaRecord) == 112);

// Where the running kernel keeps what the program below reads, in bytes.
struct VmaIteratorLayout {
  uint32_t function = 0;  // BTF id of the iterator's attach point
  BpfContextLayout context;
  uint32_t context_vma = 0;
  uint32_t vma_start = 0;
  uint32_t vma_end = 0;
  uint32_t vma_flags = 0;
  uint32_t vma_page = 0;
  uint32_t vma_operations = 0;
  uint32_t vma_file = 0;
  uint32_t vma_anon_memory = 0;
  uint32_t vma_anon_name = 0;  // 0: built without such names
  uint32_t vma_memory = 0;     // of the task as a whole
  uint32_t mappings = 0;
  uint32_t heap_start = 0;
  uint32_t heap_end = 0;
  uint32_t stack = 0;
  uint32_t file_path = 0;
  uint32_t path_dentry = 0;
  uint32_t path_mount = 0;
  uint32_t file_inode = 0;
  uint32_t inode_number = 0;
  uint32_t inode_super = 0;
  uint32_t super_device = 0;
};

// Pure; `bytes` are those of /sys/kernel/btf/vmlinux. Errors: Btf's.
absl::StatusOr<VmaIteratorLayout> FindVmaIteratorLayout(std::string_view bytes);

// A BPF program that the kernel runs for every mapping of a task (iter/task_vma, Linux 5.13; of one
// task alone, 6.1) and that hands out nothing but a VmaRecord of each: 0.4 us a mapping, where
// smaps takes 6 and walks all pages as well.
class BpfVmaIterator {
 public:
  // Errors: whatever keeps it from being loaded: PermissionDenied without CAP_BPF and CAP_PERFMON
  // (or CAP_SYS_ADMIN), NotFound where the kernel has no BTF, and others.
  static absl::StatusOr<BpfVmaIterator> Load();

  // To be read from once: the mappings that the thread `tid` of this process's pid namespace has
  // then, ascending; without [vsyscall], which is no task's own.
  absl::StatusOr<UniqueFd> Attach(pid_t tid) const;
  // Ends early with the first error that `take` returns.
  static absl::Status Read(const UniqueFd& attached,
                           absl::FunctionRef<absl::Status(const VmaRecord&)> take);

 private:
  explicit BpfVmaIterator(UniqueFd program) : program_(std::move(program)) {}

  UniqueFd program_;
};

}  // namespace dumpctl

#endif  // PROC_BPF_VMA_ITERATOR_H_
