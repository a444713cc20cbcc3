#ifndef DUMP_MM_VMA_REFUSAL_H_
#define DUMP_MM_VMA_REFUSAL_H_

#include <optional>
#include "dumpctl/resource_refusal.h"
#include "dumpctl/vma.h"

namespace dumpctl {

// Why this mapping cannot be dumped; nothing when it can. Pure: preflight asks it of a running
// task, the collector of a frozen one, so that both say the same.
std::optional<WhyNot> WhyNotDumpable(const Vma& vma);

// What is said of shadow stacks (Linux 6.6).
WhyNot WhyNotShadowStack();

// What is said of a mapping with MADV_GUARD_INSTALL ranges when these are not known.
WhyNot WhyNotGuarded();

}  // namespace dumpctl

#endif  // DUMP_MM_VMA_REFUSAL_H_
