#include "dump/session/frozen_memory.h"

namespace dumpctl {

absl::StatusOr<FrozenTaskMemory> OpenMemory(const FrozenTask& task, const FrozenFacts& facts) {
  if (facts.may_share) return FrozenTaskMemory::OpenSharing(task.pid(), task.dir());
  return FrozenTaskMemory::Open(task.pid(), task.dir(), facts.vmas);
}

}  // namespace dumpctl
