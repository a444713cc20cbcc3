#ifndef DUMP_MM_SOFT_DIRTY_H_
#define DUMP_MM_SOFT_DIRTY_H_

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dump/image/page_run.h"
#include "dump/mm/changed_pages.h"
#include "dump/mm/page_split.h"
#include "dumpctl/remote_address.h"
#include "dumpctl/unique_fd.h"
#include "proc/kernel_features.h"
#include "proc/proc_fs.h"
#include "proc/vma_list.h"

namespace dumpctl {

// What has to be known of an address space, from when its soft-dirty bits are cleared until they
// are read. These bits are there once for each process, and anybody may clear them: a page whose
// bit we have set since, and which the program does not write to, tells that nobody has.
struct SoftDirtyRecord {
  RemoteAddress witness;  // that page; 0: none was found, so that nothing will be believed
  std::optional<uint64_t> scanned;  // PageMerging::scanned of then
  std::vector<PageSample> samples;

  // In a memfd of its own, and out of it; DataLoss for what is none.
  absl::StatusOr<UniqueFd> Write() const;
  static absl::StatusOr<SoftDirtyRecord> Read(BorrowedFd memfd);
};

// What of a frozen task may have been written since its bits were cleared, ascending, and all
// mappings of which the bits do not tell (CanWatch). `runs`: the pages that are asked for,
// ascending. `known`: null where nothing is known, so that all are changed, as they are where the
// kernel may have merged some (PageMerging). `next`, where it is wanted: for when the bits are
// cleared now. Takes time and memory by what is resident.
absl::StatusOr<std::vector<AddressRange>> FindSoftDirty(const ProcDir& task, const VmaList& vmas,
                                                        std::span<const PageRun> runs,
                                                        const KernelFeatures& features,
                                                        const SoftDirtyRecord* known,
                                                        SoftDirtyRecord* next);

// Of pages that have content, one that a program does not write to: of private memory that may not
// be written to, such as the tables of a linker after it is done, else the highest one of its
// stack, where its arguments are. 0 for none.
RemoteAddress FindWitness(const VmaList& vmas, std::span<const PageRun> runs);

// Clears all soft-dirty bits of a frozen task, and sets that of `record`'s witness, by writing to
// it what it holds. Where that fails nothing will be believed. `clear_refs`: /proc/PID/clear_refs.
absl::Status ClearSoftDirty(const ProcDir& task, BorrowedFd clear_refs,
                            const KernelFeatures& features, SoftDirtyRecord& record);

}  // namespace dumpctl

#endif  // DUMP_MM_SOFT_DIRTY_H_
