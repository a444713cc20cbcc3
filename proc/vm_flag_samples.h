#ifndef PROC_VM_FLAG_SAMPLES_H_
#define PROC_VM_FLAG_SAMPLES_H_

#include <vector>

#include "absl/status/statusor.h"
#include "dumpctl/vma.h"
#include "proc/bpf_vma_iterator.h"
#include "proc/vm_flag_table.h"

namespace dumpctl {

// What this process's own mappings teach of vm_flags.
//
// Maps a page in each state that mmap(2), mprotect(2), madvise(2), mlock(2) and userfaultfd(2) can
// put memory into here, has a look at them in both ways, and unmaps them again. The kernel's own
// mappings ([vdso], [vvar], [stack]) are samples as well. States that this kernel or this caller
// cannot make are left out. Other threads of this process do no harm.
absl::StatusOr<std::vector<VmFlagSample>> SampleVmFlags(const BpfVmaIterator& iterator);

// [vsyscall] and the like, which are every task's, and which no iterator gives: as our smaps has
// them.
absl::StatusOr<std::vector<Mapping>> MappingsOfEveryTask();

}  // namespace dumpctl

#endif  // PROC_VM_FLAG_SAMPLES_H_
