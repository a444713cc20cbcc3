#ifndef PROC_PAGEMAP_H_
#define PROC_PAGEMAP_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dumpctl/kernel_abi.h"
#include "dumpctl/remote_address.h"
#include "dumpctl/unique_fd.h"
#include "proc/kernel_features.h"
#include "proc/proc_fs.h"
#include "proc/zero_page.h"

namespace dumpctl {

// Which pages to look for. Guards are found with every one of them.
enum class PageFilter : uint8_t {
  kNonzero,  // in memory or swapped, and not the kernel's shared page of zeros
  kSmall,    // of these, those that are mapped one by one (PAGEMAP_SCAN alone can tell; else all)
  kCopied,   // in memory or swapped, and not a mapped file's own page
  kGuards,   // guards only
};

// Addresses [start, end).
struct FoundPages {
  RemoteAddress start;
  RemoteAddress end;
  bool guard;  // MADV_GUARD_INSTALL makes accesses fault: there is no page
};

// Addresses [start, end) that are not in memory as they were: see Pagemap::FindUnlike.
struct UnlikePages {
  RemoteAddress start;
  RemoteAddress end;
  bool guard;
  bool content;  // in memory or swapped, and not the kernel's shared page of zeros
  bool written;  // maybe
};

// One task's page table as /proc/PID/pagemap tells it (pagemap.rst in the kernel's admin guide).
// Belongs to the address space the task had when it was opened.
//
// By PAGEMAP_SCAN (Linux 6.7) it costs nothing to look through address space without pages. Without
// it every page has 8 bytes of text, 2 GiB for 1 TiB of addresses, read through a buffer of 1 MiB
// at about 1 s a TiB. There pages of zeros are recognised by their frame number, which the kernel
// shows to CAP_SYS_ADMIN alone; other callers take them for ordinary pages.
class Pagemap {
 public:
  static absl::StatusOr<Pagemap> Open(const ProcDir& task, const KernelFeatures& features);

  // Calls `found` for what is there in [start, end), ascending. Pieces may touch each other.
  // Errors: NotFound when the task is gone.
  absl::Status Find(RemoteAddress start, RemoteAddress end, PageFilter filter,
                    absl::FunctionRef<void(const FoundPages&)> found);

  // Whether writes to the mapping that begins at `start` are watched: see FindWritten. False on
  // older kernels.
  absl::StatusOr<bool> IsWatched(RemoteAddress start) const;
  // Of a mapping whose writes are watched (userfaultfd's asynchronous write protection, Linux 6.7):
  // calls `found` for what in [start, end), ascending, may have been written since it was protected
  // last. False, and nothing found, where no writes are watched there. What is empty is never
  // found, whatever it was before.
  //
  // `over_file`: private memory over a file, of which the file's own pages are left out, and
  // swapped pages are always found: the kernel leaves a mark that looks like one where a protected
  // page was given back. `protect`: what is found is protected again, at the same moment; nothing
  // else is, so that empty memory gets no page tables.
  absl::StatusOr<bool> FindWritten(RemoteAddress start, RemoteAddress end, bool over_file,
                                   bool protect,
                                   absl::FunctionRef<void(RemoteAddress, RemoteAddress)> found);

  // Of a mapping of anonymous memory whose writes are watched: calls `found` for all in [start,
  // end), ascending, but what is in memory and has not been written to since it was protected last.
  // So of much memory that is as it was hardly anything is told, which takes a quarter of the time.
  // False, and nothing found, where no writes are watched there, or guards are told, but not by
  // PAGEMAP_SCAN.
  absl::StatusOr<bool> FindUnlike(RemoteAddress start, RemoteAddress end,
                                  absl::FunctionRef<void(const UnlikePages&)> found);

  // Whether pages of [start, end) bear the mark of write protection, in force or not. False on
  // older kernels.
  absl::StatusOr<bool> HasMarks(RemoteAddress start, RemoteAddress end) const;

  // Calls `take` with all entries of [start, end), ascending, 2^17 at a time. As
  // /proc/PID/pagemap has them: see kernel_abi.h.
  absl::Status ForEach(RemoteAddress start, RemoteAddress end,
                       absl::FunctionRef<void(RemoteAddress, std::span<const uint64_t>)> take);

  // Whether guards are told from pages. Where they are not (Linux 6.13 and 6.14) they look like
  // swapped pages, and are found as such; reading them fails.
  bool knows_guards() const { return knows_guards_; }

 private:
  using Found = absl::FunctionRef<void(const FoundPages&)>;

  Pagemap(UniqueFd file, const KernelFeatures& features);

  // PAGEMAP_SCAN of [start, end), whatever else `arg` says.
  absl::Status ScanRegions(RemoteAddress start, RemoteAddress end, abi::PmScanArg arg,
                           absl::FunctionRef<absl::Status(const abi::PageRegion&)> take) const;
  absl::Status Scan(RemoteAddress start, RemoteAddress end, PageFilter filter, Found found);
  absl::Status Read(RemoteAddress start, RemoteAddress end, PageFilter filter, Found found);
  absl::StatusOr<size_t> ReadEntries(uint64_t first_page, uint64_t pages);
  bool Matches(uint64_t entry, PageFilter filter) const;

  UniqueFd file_;
  bool can_scan_;
  bool scans_guards_;  // by the scan itself
  bool knows_guards_;
  bool guards_by_entries_;               // there may be some, and the scan does not tell them
  std::unique_ptr<uint64_t[]> entries_;  // of ReadEntries
  ZeroFrames zeros_;
};

}  // namespace dumpctl

#endif  // PROC_PAGEMAP_H_
