#ifndef PROC_PAGE_PLACES_H_
#define PROC_PAGE_PLACES_H_

#include <cstdint>
#include <span>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dumpctl/remote_address.h"
#include "dumpctl/unique_fd.h"
#include "proc/proc_fs.h"

namespace dumpctl {

// Where a page stands that several page tables may refer to: the number of its frame of memory, or
// its slot of swap. Two tasks with the same place at one time have one page. kNoPlace where there
// is no page, where the kernel says that no other page table refers to it, or does not say where it
// is.
using PagePlace = uint64_t;
inline constexpr PagePlace kNoPlace = 0;

// Of an entry of /proc/PID/pagemap (pagemap.rst in the kernel's admin guide).
PagePlace SharedPlaceOf(uint64_t entry);

// Whether an entry is of a page in memory whose frame is not told: the kernel shows frames to
// CAP_SYS_ADMIN of the initial user namespace alone.
bool HidesPlace(uint64_t entry);

// The entries themselves, of the address space that the task had when it was opened. Thread-safe.
class PagePlaces {
 public:
  static absl::StatusOr<PagePlaces> Open(const ProcDir& task);

  // The entries of the pages (of 4 KiB) from `start` on. NotFound when the task is gone.
  absl::Status Read(RemoteAddress start, std::span<uint64_t> entries) const;

 private:
  explicit PagePlaces(UniqueFd file) : file_(std::move(file)) {}

  UniqueFd file_;
};

}  // namespace dumpctl

#endif  // PROC_PAGE_PLACES_H_
