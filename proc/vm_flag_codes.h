#ifndef PROC_VM_FLAG_CODES_H_
#define PROC_VM_FLAG_CODES_H_

#include <optional>
#include <string_view>

#include "dumpctl/vma.h"

namespace dumpctl {

// What a two-letter code of smaps' VmFlags line means; VmFlag::kOther for those this version does
// not know.
VmFlag VmFlagOf(std::string_view code);

// All codes of such a line, each with a blank around it; none when one of them has not two letters.
std::optional<VmFlags> VmFlagsOf(std::string_view codes);

}  // namespace dumpctl

#endif  // PROC_VM_FLAG_CODES_H_
