#ifndef PROC_ZERO_PAGE_H_
#define PROC_ZERO_PAGE_H_

#include <cstdint>

namespace dumpctl {

// The frame numbers of the pages of zeros that the kernel maps wherever memory was read but never
// written: of one page, and the first one of a huge page's, of which there is one likewise. 0 where
// it cannot be known: frame numbers are shown to CAP_SYS_ADMIN only, and the way to the first is a
// userfaultfd (CAP_SYS_PTRACE or the sysctl vm.unprivileged_userfaultfd); the second is not mapped
// where huge pages are switched off.
struct ZeroFrames {
  uint64_t page = 0;
  uint64_t huge = 0;  // a number that no frame has where the kernel has no huge pages
};

// Asked once. They stay what they are: the kernel frees the huge one only when no process is left
// that has ever mapped it, and this one has.
const ZeroFrames& FindZeroFrames();

// What the entry of a page in /proc/PID/pagemap tells: that it is one of these; that it may be, for
// all that is known.
bool IsZeroPage(uint64_t entry, const ZeroFrames& zeros);
bool MayBeZeroPage(uint64_t entry, const ZeroFrames& zeros);

}  // namespace dumpctl

#endif  // PROC_ZERO_PAGE_H_
