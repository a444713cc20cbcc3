#include "proc/pagemap.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "dumpctl/kernel_abi.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

constexpr uint64_t kPageSize = 4096;
// 1 MiB: the entries of 512 MiB of addresses.
constexpr uint64_t kEntries = (1 << 20) / sizeof(uint64_t);
// Not more: with longer vectors Linux 6.18 was seen to repeat up to 512 regions in the last call
// (walk_end was stale).
constexpr size_t kRegions = 512;

constexpr uint64_t kHasContent = abi::kPageIsPresent | abi::kPageIsSwapped;

absl::Status Error(int error) {
  if (error == ESRCH) return absl::NotFoundError("the task's address space is gone");
  return absl::ErrnoToStatus(error, "pagemap");
}

// Asking for PAGE_IS_FILE makes the kernel look into every page's descriptor, which costs 5 times
// the walk itself (1.1 ms a GB of 4K pages); all the other categories are free. So only where it
// matters. What is left out is left out by the kernel, so that it does not cut regions.
// `guard`: the category that guards are in.
void SetFilter(PageFilter filter, uint64_t guard, abi::PmScanArg& arg) {
  arg.category_anyof_mask = kHasContent | guard;
  // At least one category has to be asked for; this one never cuts a region where it is excluded.
  arg.return_mask = abi::kPageIsPfnZero | guard;
  switch (filter) {
    case PageFilter::kNonzero:
      arg.category_mask = arg.category_inverted = abi::kPageIsPfnZero;
      return;
    case PageFilter::kSmall:
      arg.category_mask = arg.category_inverted = abi::kPageIsPfnZero | abi::kPageIsHuge;
      return;
    case PageFilter::kCopied:
      arg.category_mask = arg.category_inverted = abi::kPageIsFile;
      return;
    case PageFilter::kGuards:
      arg.category_anyof_mask = arg.return_mask = guard;
      return;
  }
}

// Whether there is such a thing as a guard at all (Linux 6.13). Advice that a kernel does not know
// is refused even for nothing.
bool HasGuards() { return madvise(nullptr, 0, abi::kMadvGuardInstall) == 0; }

}  // namespace

Pagemap::Pagemap(UniqueFd file, const KernelFeatures& features)
    : file_(std::move(file)),
      can_scan_(features.Has(KernelFeature::kPagemapScan)),
      scans_guards_(can_scan_ && features.Has(KernelFeature::kPagemapScanGuard)),
      knows_guards_(scans_guards_ || features.Has(KernelFeature::kPagemapGuard)),
      guards_by_entries_(knows_guards_ && !scans_guards_ && HasGuards()) {
  if (!can_scan_) zeros_ = FindZeroFrames();
}

absl::StatusOr<Pagemap> Pagemap::Open(const ProcDir& task, const KernelFeatures& features) {
  ASSIGN_OR_RETURN(UniqueFd file, task.Open("pagemap", O_RDONLY));
  return Pagemap(std::move(file), features);
}

absl::Status Pagemap::Find(RemoteAddress start, RemoteAddress end, PageFilter filter, Found found) {
  // Asked for none of its categories the kernel would tell every page.
  const bool may_have_guards = scans_guards_ || guards_by_entries_;
  if (filter == PageFilter::kGuards && !may_have_guards) return absl::OkStatus();
  return can_scan_ ? Scan(start, end, filter, found) : Read(start, end, filter, found);
}

absl::Status Pagemap::ScanRegions(
    RemoteAddress start, RemoteAddress end, abi::PmScanArg arg,
    absl::FunctionRef<absl::Status(const abi::PageRegion&)> take) const {
  abi::PageRegion regions[kRegions];
  arg.size = sizeof arg;
  arg.end = end.value();
  arg.vec = reinterpret_cast<uint64_t>(regions);
  arg.vec_len = kRegions;
  for (arg.start = start.value(); arg.start < end.value();) {
    const int n = ioctl(file_.get(), abi::kPagemapScan, &arg);
    if (n < 0) return Error(errno);
    for (int i = 0; i < n; ++i) RETURN_IF_ERROR(take(regions[i]));
    // Not further than the walk went: what was not walked is not protected yet. See kRegions.
    const uint64_t next = n > 0 ? std::max(arg.walk_end, regions[n - 1].end) : arg.walk_end;
    if (next <= arg.start) return absl::InternalError("PAGEMAP_SCAN does not get on");
    arg.start = next;
  }
  return absl::OkStatus();
}

absl::Status Pagemap::Scan(RemoteAddress start, RemoteAddress end, PageFilter filter, Found found) {
  abi::PmScanArg arg = {};
  SetFilter(filter,
            scans_guards_        ? abi::kPageIsGuard
            : guards_by_entries_ ? abi::kPageIsSwapped
                                 : 0,
            arg);
  return ScanRegions(start, end, arg, [&](const abi::PageRegion& region) -> absl::Status {
    const RemoteAddress from(region.start);
    const RemoteAddress to(region.end);
    // Guards are among what looks swapped: its entries tell which.
    if (guards_by_entries_ && (region.categories & abi::kPageIsSwapped)) {
      return Read(from, to, filter, found);
    }
    found({from, to, (region.categories & abi::kPageIsGuard) != 0});
    return absl::OkStatus();
  });
}

absl::StatusOr<bool> Pagemap::IsWatched(RemoteAddress start) const {
  if (!can_scan_) return false;
  abi::PageRegion region = {};
  abi::PmScanArg arg = {.size = sizeof arg,
                        .flags = abi::kPmScanCheckWpAsync,
                        .start = start.value(),
                        .end = start.value() + kPageSize,
                        .vec = reinterpret_cast<uint64_t>(&region),
                        .vec_len = 1,
                        .category_mask = abi::kPageIsPresent,
                        .return_mask = abi::kPageIsPresent};
  if (ioctl(file_.get(), abi::kPagemapScan, &arg) >= 0) return true;
  if (errno == EPERM) return false;
  return Error(errno);
}

absl::StatusOr<bool> Pagemap::HasMarks(RemoteAddress start, RemoteAddress end) const {
  if (!can_scan_) return false;
  abi::PageRegion region = {};
  abi::PmScanArg arg = {.size = sizeof arg,
                        .start = start.value(),
                        .end = end.value(),
                        .vec = reinterpret_cast<uint64_t>(&region),
                        .vec_len = 1,
                        .max_pages = 1,
                        .category_inverted = abi::kPageIsWritten,
                        .category_mask = abi::kPageIsWritten,
                        .category_anyof_mask = kHasContent,
                        .return_mask = abi::kPageIsPresent};
  const int n = ioctl(file_.get(), abi::kPagemapScan, &arg);
  if (n < 0) return Error(errno);
  return n > 0;
}

absl::StatusOr<bool> Pagemap::FindWritten(
    RemoteAddress start, RemoteAddress end, bool over_file, bool protect,
    absl::FunctionRef<void(RemoteAddress, RemoteAddress)> found) {
  ASSIGN_OR_RETURN(const bool watched, IsWatched(start));
  if (!watched) return false;
  abi::PmScanArg arg = {.flags = abi::kPmScanCheckWpAsync | (protect ? abi::kPmScanWpMatching : 0),
                        .category_mask = abi::kPageIsWritten,
                        .category_anyof_mask = kHasContent,
                        .return_mask = abi::kPageIsWritten};
  if (over_file) {
    arg.category_mask = arg.category_inverted = abi::kPageIsFile;
    arg.return_mask |= abi::kPageIsSwapped;
  }
  RETURN_IF_ERROR(ScanRegions(start, end, arg, [&](const abi::PageRegion& region) {
    if ((region.categories & (abi::kPageIsWritten | abi::kPageIsSwapped)) != 0) {
      found(RemoteAddress(region.start), RemoteAddress(region.end));
    }
    return absl::OkStatus();
  }));
  return true;
}

absl::StatusOr<bool> Pagemap::FindUnlike(RemoteAddress start, RemoteAddress end,
                                         absl::FunctionRef<void(const UnlikePages&)> found) {
  if (guards_by_entries_) return false;
  ASSIGN_OR_RETURN(const bool watched, IsWatched(start));
  if (!watched) return false;
  // Not in memory, or written to.
  const abi::PmScanArg arg = {.flags = abi::kPmScanCheckWpAsync,
                              .category_inverted = abi::kPageIsPresent,
                              .category_anyof_mask = abi::kPageIsPresent | abi::kPageIsWritten,
                              .return_mask = kHasContent | abi::kPageIsWritten |
                                             abi::kPageIsPfnZero |
                                             (scans_guards_ ? abi::kPageIsGuard : 0)};
  RETURN_IF_ERROR(ScanRegions(start, end, arg, [&](const abi::PageRegion& region) {
    const auto is = [&region](uint64_t category) { return (region.categories & category) != 0; };
    const bool guard = is(abi::kPageIsGuard);
    found({RemoteAddress(region.start), RemoteAddress(region.end), guard,
           !guard && is(kHasContent) && !is(abi::kPageIsPfnZero), is(abi::kPageIsWritten)});
    return absl::OkStatus();
  }));
  return true;
}

bool Pagemap::Matches(uint64_t entry, PageFilter filter) const {
  if (filter == PageFilter::kGuards) return false;
  if (!(entry & (abi::kPagemapPresent | abi::kPagemapSwapped))) return false;
  if (filter == PageFilter::kCopied) return !(entry & abi::kPagemapFile);
  return !IsZeroPage(entry, zeros_);
}

absl::StatusOr<size_t> Pagemap::ReadEntries(uint64_t first_page, uint64_t pages) {
  if (!entries_) entries_ = std::make_unique<uint64_t[]>(kEntries);
  const ssize_t n = pread(file_.get(), entries_.get(), std::min(pages, kEntries) * sizeof(uint64_t),
                          static_cast<off_t>(first_page * sizeof(uint64_t)));
  if (n < 0) return Error(errno);
  // Nothing to read where addresses are: the address space is no more.
  if (n == 0) return Error(ESRCH);
  return static_cast<size_t>(n) / sizeof(uint64_t);
}

absl::Status Pagemap::ForEach(
    RemoteAddress start, RemoteAddress end,
    absl::FunctionRef<void(RemoteAddress, std::span<const uint64_t>)> take) {
  for (RemoteAddress at = start; at < end;) {
    ASSIGN_OR_RETURN(const size_t n, ReadEntries(at.value() / kPageSize, (end - at) / kPageSize));
    take(at, std::span(entries_.get(), n));
    at = at + n * kPageSize;
  }
  return absl::OkStatus();
}

absl::Status Pagemap::Read(RemoteAddress start, RemoteAddress end, PageFilter filter, Found found) {
  // What the entry before was part of.
  FoundPages current = {start, start, false};
  bool in_pages = false;
  uint64_t page = start.value() / kPageSize;
  const uint64_t end_page = end.value() / kPageSize;
  while (page < end_page) {
    ASSIGN_OR_RETURN(const size_t n, ReadEntries(page, end_page - page));
    for (size_t i = 0; i < n; ++i, ++page) {
      const uint64_t entry = entries_[i];
      if (!in_pages && entry == 0) continue;
      // A guard also shows as swapped out.
      const bool guard = knows_guards_ && (entry & abi::kPagemapGuard) != 0;
      const bool wanted = guard || Matches(entry, filter);
      if (in_pages && wanted && guard == current.guard) continue;
      const RemoteAddress address(page * kPageSize);
      if (in_pages) {
        current.end = address;
        found(current);
      }
      in_pages = wanted;
      current = {address, address, guard};
    }
  }
  if (in_pages) {
    current.end = end;
    found(current);
  }
  return absl::OkStatus();
}

}  // namespace dumpctl
