#ifndef DUMP_SESSION_FROZEN_MEMORY_H_
#define DUMP_SESSION_FROZEN_MEMORY_H_

#include "absl/status/statusor.h"
#include "dump/mm/memory_source.h"
#include "dump/session/frozen_facts.h"
#include "dump/tracee/frozen_task.h"

namespace dumpctl {

// The memory of a task that stands, read so that what it may share with others stays shared; see
// FrozenTaskMemory.
absl::StatusOr<FrozenTaskMemory> OpenMemory(const FrozenTask& task, const FrozenFacts& facts);

}  // namespace dumpctl

#endif  // DUMP_SESSION_FROZEN_MEMORY_H_
