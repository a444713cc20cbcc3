#ifndef PROC_MERGED_PAGES_H_
#define PROC_MERGED_PAGES_H_

#include <cstdint>
#include <optional>
#include <utility>

#include "dumpctl/unique_fd.h"

namespace dumpctl {

// Pages of equal contents that the kernel has given one frame (KSM: ksm.rst in its admin guide).
//
// Kernel trap: in the place of a page that was written to it puts one without a soft-dirty bit, and
// where it takes that back again (MADV_UNMERGEABLE, since Linux 6.2), another one without.

// How far it has come on the whole machine, by /sys/kernel/mm/ksm. What a caller does not see is
// taken for the worse.
struct PageMerging {
  bool possible = true;  // false: the kernel is built without it
  bool active = true;    // pages are looked for now
  bool some = true;      // some are merged now, somewhere
  // Pages looked at since the machine was started (Linux 6.6). None of a kernel that does not tell.
  std::optional<uint64_t> scanned;
  bool unmerging_marks = false;  // it is a write to the page: before Linux 6.2

  static PageMerging Read();

  // Whether it can be known at all, later on, that a page was written to.
  bool KeepsMarks() const { return !possible || scanned || unmerging_marks; }
  // Whether pages of a task that stands still may have lost their bits to it since `scanned` was
  // `then`, now that these have been read. `mergeable`: it has memory that may be merged
  // (MADV_MERGEABLE, PR_SET_MEMORY_MERGE), and that never comes or goes while it stands.
  bool MayHaveTakenMarks(std::optional<uint64_t> then, bool mergeable) const;
};

// What the kernel says of page frames (/proc/kpageflags: pagemap.rst in its admin guide).
//
// Kernel trap: Linux 6.12 calls all anonymous pages merged.
class FrameFlags {
 public:
  FrameFlags() = default;  // which knows nothing
  // Nor does that of a caller who may not read them (CAP_SYS_ADMIN).
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
