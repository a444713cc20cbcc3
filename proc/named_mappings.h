#ifndef PROC_NAMED_MAPPINGS_H_
#define PROC_NAMED_MAPPINGS_H_

#include <vector>

#include "absl/status/statusor.h"
#include "dumpctl/vma.h"
#include "proc/bpf_vm_flags.h"
#include "proc/proc_fs.h"

namespace dumpctl {

// What /proc/PID/maps tells of the mappings that BPF has told of, without reading it: the kernel is
// asked (PROCMAP_QUERY, Linux 6.11) for the name of one mapping of each file, and for those that
// may have a name of their own. In maps the names take most of the time, because each of thousands
// of lines has its file's whole path made anew. Names are as they are, newlines and backslashes
// too.
//
// The task may run. Every error means to read maps instead: NotFound where it has other mappings by
// now, FailedPrecondition where a file is numbered in another way than BPF does (on overlayfs and
// the like maps tells of the file that was opened, and BPF of the one below).
absl::StatusOr<std::vector<Mapping>> NameMappings(const ProcDir& task, const BpfMappings& read);

}  // namespace dumpctl

#endif  // PROC_NAMED_MAPPINGS_H_
