#ifndef DUMP_MM_PAGE_SCANNER_H_
#define DUMP_MM_PAGE_SCANNER_H_

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "dump/image/page_run.h"
#include "dump/mm/guard_range.h"
#include "proc/kernel_features.h"
#include "proc/proc_fs.h"
#include "proc/vma_list.h"

namespace dumpctl {

// What of a task's memory has to be saved.
struct ScannedPages {
  // Ascending, none touching the next.
  std::vector<PageRun> runs;
  // Those that parent images hold, as they are (PageTracking::Split); not in `runs`.
  std::vector<PageRun> in_parent;
  // Ascending. Nullopt where this kernel does not tell (CollectVmas takes it as it is).
  std::optional<std::vector<GuardRange>> guards;
  uint64_t pages = 0;            // in all runs
  uint64_t pages_in_parent = 0;  // in all of in_parent
  uint64_t pages_scanned = 0;    // of address space that was looked through
};

// Whose pages are looked for. All but the first take VmFlags to be known.
enum class ScanOf : uint8_t {
  kTask,       // of a task: all
  kNotCopied,  // of a task: those that a copy of it, made by fork(2), would not have
  kCopy,       // of such a copy: the others. It may have mappings of its own in between.
};

// Whether fork(2) leaves its pages out of a copy, or may fail to keep them there (a huge page that
// is written to where there is no other).
bool IsNotCopied(const Vma& vma);

// Finds the pages of a frozen task that restore cannot get elsewhere: private memory that is
// present or swapped, but no anonymous pages of zeros, and of a mapped file only the pages that
// were copied on write. The vDSO is saved whole: restore compares it with its own. Guards are never
// pages.
//
// A copy has the same pages where its task had them when it was made, whatever the task does since:
// fork(2) copies the page tables of all mappings that have pages of their own, and guards are there
// for it to find them. Only pages of zeros where nothing was ever written may be missing, and marks
// of tracked writes: neither is content, or else (/dev/zero) what restore puts there by itself.
//
// VmFlags need not be known yet for ScanOf::kTask; what is known to be untouched (Vma) is passed
// over. Runs in the time and memory of what is resident, not of what is mapped (but see Pagemap for
// kernels without PAGEMAP_SCAN). Errors: NotFound when the task is gone, PermissionDenied when it
// may not be looked into.
//
// `saved`: pages of anonymous memory, ascending, that parent images hold, and that were protected
// before they were read from the task (WriteWatch). Those that it has as they were then are told as
// in_parent. None of a task with private huge pages of hugetlbfs, which restorers read by other
// rules.
//
// `page_tables`: KiB that they take, by now or a little earlier. Where they are many, two threads
// look through what is wide.
absl::StatusOr<ScannedPages> ScanPages(const ProcDir& task, const VmaList& vmas,
                                       const KernelFeatures& features, ScanOf of = ScanOf::kTask,
                                       std::span<const PageRun> saved = {},
                                       uint64_t page_tables = 0);

// Whether pages of such a task may stand in parent images: see above.
bool MayHaveParent(const VmaList& vmas);

// What two scans of different mappings of one task have found, as one scan of them all would.
ScannedPages Joined(const ScannedPages& some, ScannedPages others);

}  // namespace dumpctl

#endif  // DUMP_MM_PAGE_SCANNER_H_
