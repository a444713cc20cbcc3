#include "dump/session/copy_refusal.h"

#include "absl/status/statusor.h"
#include "dump/ns/namespaces.h"

namespace dumpctl {

bool HasOtherNamespaceForChildren(const FrozenTask& task) {
  const absl::StatusOr<NamespaceLinks> own = ReadNamespaces(task.dir());
  return !own.ok() || !OtherNamespacesOfChildren(task.dir(), *own).empty();
}

std::string WhyNoCopy(const FrozenFacts& facts) {
  for (const ThreadFacts& thread : facts.threads) {
    if (thread.seccomp) return "it runs under seccomp";
  }
  for (const Vma& vma : facts.vmas) {
    // A copy attaches it once more, and detaches it: shmctl(2) tells by whom and when.
    if (vma.kind == VmaKind::kSysvShm || (vma.facts && vma.facts->sysv)) {
      return "it has attached System V shared memory";
    }
  }
  if (!facts.others_of_children.empty()) return "its children have namespaces of their own";
  return "";
}

}  // namespace dumpctl
