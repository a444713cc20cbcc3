#ifndef DUMP_MM_PAGE_SCANNER_H_
#define DUMP_MM_PAGE_SCANNER_H_

#include <cstdint>
#include <optional>
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

// Finds the pages of a frozen task that restore cannot get elsewhere: private memory that is
// present or swapped, but no anonymous pages of zeros, and of a mapped file only the pages that
// were copied on write. The vDSO is saved whole: restore compares it with its own. Guards are never
// pages.
//
// VmFlags need not be known yet; what is known to be untouched (Vma) is passed over. Runs in the
// time and memory of what is resident, not of what is mapped (but see Pagemap for kernels without
// PAGEMAP_SCAN). Errors: NotFound when the task is gone, PermissionDenied when it may not be looked
// into.
absl::StatusOr<ScannedPages> ScanPages(const ProcDir& task, const VmaList& vmas,
                                       const KernelFeatures& features);

}  // namespace dumpctl

#endif  // DUMP_MM_PAGE_SCANNER_H_
