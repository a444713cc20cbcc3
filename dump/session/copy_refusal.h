#ifndef DUMP_SESSION_COPY_REFUSAL_H_
#define DUMP_SESSION_COPY_REFUSAL_H_

#include <string>

#include "dump/session/frozen_facts.h"
#include "dump/tracee/frozen_task.h"

namespace dumpctl {

// Why a frozen task, whose VmFlags need not be known, cannot be given a child for a while without a
// trace. Empty: nothing.
std::string WhyNoCopy(const FrozenFacts& facts);

// Children would be made in another namespace than the task's own, and would be its first there.
// Of one whose facts are not read.
bool HasOtherNamespaceForChildren(const FrozenTask& task);

}  // namespace dumpctl

#endif  // DUMP_SESSION_COPY_REFUSAL_H_
