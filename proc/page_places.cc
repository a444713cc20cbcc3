#include "proc/page_places.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "dumpctl/kernel_abi.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

constexpr uint64_t kBytesOfPage = 4096;
// Of what is swapped: the area's number in the lowest 5 bits, and the slot above them. The highest
// numbers are the kernel's own notes (migration, markers), how many depends on its configuration;
// nobody has 16 areas of swap.
constexpr uint64_t kSwapAreaMask = 31;
constexpr uint64_t kSwapAreas = 16;

PagePlace SwapPlaceOf(uint64_t entry) {
  const uint64_t slot = entry & abi::kPagemapFrame;
  if ((entry & abi::kPagemapGuard) != 0 || slot >> 5 == 0) return kNoPlace;
  if ((slot & kSwapAreaMask) >= kSwapAreas) return kNoPlace;
  return slot | abi::kPagemapSwapped;
}

}  // namespace

PagePlace SharedPlaceOf(uint64_t entry) {
  if (entry & abi::kPagemapPresent) {
    return entry & abi::kPagemapExclusive ? kNoPlace : entry & abi::kPagemapFrame;
  }
  return entry & abi::kPagemapSwapped ? SwapPlaceOf(entry) : kNoPlace;
}

bool HidesPlace(uint64_t entry) {
  return (entry & abi::kPagemapPresent) && (entry & abi::kPagemapFrame) == 0;
}

absl::StatusOr<PagePlaces> PagePlaces::Open(const ProcDir& task) {
  ASSIGN_OR_RETURN(UniqueFd file, task.Open("pagemap", O_RDONLY));
  return PagePlaces(std::move(file));
}

absl::Status PagePlaces::Read(RemoteAddress start, std::span<uint64_t> entries) const {
  uint64_t page = start.value() / kBytesOfPage;
  while (!entries.empty()) {
    const ssize_t n = pread(file_.get(), entries.data(), entries.size_bytes(),
                            static_cast<off_t>(page * sizeof(uint64_t)));
    if (n < 0 && errno != ESRCH) return absl::ErrnoToStatus(errno, "pagemap");
    if (n <= 0) return absl::NotFoundError("the task's address space is gone");
    const size_t read = static_cast<size_t>(n) / sizeof(uint64_t);
    page += read;
    entries = entries.subspan(read);
  }
  return absl::OkStatus();
}

}  // namespace dumpctl
