#ifndef PROC_MERGED_PAGES_H_
#define PROC_MERGED_PAGES_H_

#include <cstdint>
#include <utility>

#include "dumpctl/unique_fd.h"
#include "proc/proc_fs.h"

namespace dumpctl {

// Pages of equal contents that the kernel has given one frame (KSM: ksm.rst in its admin guide).
//
// Kernel trap: in the place of a page that was written to it puts one without a soft-dirty bit, and
// where it takes that back again (MADV_UNMERGEABLE, since Linux 6.2), another one without.

// Whether it has not happened to a task, as far as that is known: it has no such page, and none
// that was looked at for it (ksm_stat, Linux 6.1). True on a kernel without all that, and where it
// has never been at work. Children have what their parents had by then.
bool HasNoMergedPages(const ProcDir& task);

// What the kernel says of page frames (/proc/kpageflags: pagemap.rst in its admin guide).
class FrameFlags {
 public:
  // Of a caller who may not read them nothing is known (CAP_SYS_ADMIN).
  static FrameFlags Open();

  // Whether it holds an anonymous page that is no merged one: processes have it in common by
  // fork(2) alone. False where nothing is known.
  bool IsForked(uint64_t frame) const;

 private:
  explicit FrameFlags(UniqueFd file) : file_(std::move(file)) {}

  UniqueFd file_;
};

}  // namespace dumpctl

#endif  // PROC_MERGED_PAGES_H_
