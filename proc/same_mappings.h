#ifndef PROC_SAME_MAPPINGS_H_
#define PROC_SAME_MAPPINGS_H_

#include <optional>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "proc/bpf_vm_flags.h"
#include "proc/proc_fs.h"
#include "proc/vma_list.h"

namespace dumpctl {

// Whether the mappings of a task, as BPF tells them now, are still those that `list` was built
// from, so that its maps need not be read again: the same addresses, rights and parts of the same
// files. Pure.
//
// The files that a list holds open keep their inodes, so that none of these numbers is another
// file's by now. BPF tells no names: those of files are looked at by HaveTheirNames. [heap] and
// [stack] are memory like any other in which the kernel once laid the heap or stack, and another
// one gets such a name by PR_SET_MM (prctl(2)) alone; other names in brackets are of mappings that
// are not plain. On overlayfs and the like maps numbers the file that a task has opened and BPF the
// one below, so that maps has to be read.
bool AreMappedStill(const VmaList& list, const BpfMappings& now);

// What files are called that we hold open, each asked for once: the tasks of a tree map the same.
class OpenNames {
 public:
  // By its descriptor; null where it cannot be told.
  const std::string* Of(int fd);

 private:
  std::optional<ProcDir> self_;
  absl::flat_hash_map<int, std::string> names_;
};

// Whether every mapped file still has the name, or lack of one, that `list` knows it by. Its files
// must be open. A name with a newline, which maps spells in a way of its own, counts as another.
bool HaveTheirNames(const VmaList& list, OpenNames& names);

}  // namespace dumpctl

#endif  // PROC_SAME_MAPPINGS_H_
