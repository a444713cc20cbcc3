#ifndef PROC_ZERO_PAGE_H_
#define PROC_ZERO_PAGE_H_

#include <cstdint>

namespace dumpctl {

// The frame number of the one page of zeros that the kernel maps wherever memory was read but never
// written. 0 when it cannot be known: frame numbers are shown to CAP_SYS_ADMIN only, and the way to
// it is a userfaultfd (CAP_SYS_PTRACE or the sysctl vm.unprivileged_userfaultfd).
uint64_t ZeroPageFrame();

}  // namespace dumpctl

#endif  // PROC_ZERO_PAGE_H_
