#ifndef PROC_ELF_NOTES_H_
#define PROC_ELF_NOTES_H_

#include <string_view>

namespace dumpctl {

// The GNU build id (NT_GNU_BUILD_ID, ld(1) --build-id) among notes as an ELF file has them
// (elf(5)), or the kernel in /sys/kernel/notes: 20 bytes mostly, 64 at most. Empty where there is
// none, or they are malformed before it.
std::string_view FindBuildId(std::string_view notes);

}  // namespace dumpctl

#endif  // PROC_ELF_NOTES_H_
