#include "dump/mm/vma_collector.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <utility>

#include "absl/strings/str_format.h"
#include "dump/mm/vma_refusal.h"
#include "dump/mm/vma_status.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

uint32_t ProtOf(const Mapping& mapping) {
  return (mapping.read ? PROT_READ : 0u) | (mapping.write ? PROT_WRITE : 0u) |
         (mapping.exec ? PROT_EXEC : 0u);
}

bool IsFile(const Vma& vma) {
  return vma.kind == VmaKind::kFilePrivate || vma.kind == VmaKind::kFileShared ||
         vma.kind == VmaKind::kMemfd;
}

uint32_t StatusOf(const Vma& vma) {
  switch (vma.kind) {
    case VmaKind::kFilePrivate:
      return kVmaRegular | kVmaFilePrivate;
    case VmaKind::kFileShared:
      return kVmaRegular | kVmaFileShared;
    case VmaKind::kMemfd:
      return kVmaRegular | kVmaMemfd | (vma.mapping.shared ? kVmaFileShared : kVmaFilePrivate);
    case VmaKind::kSysvShm:
      return kVmaRegular | kVmaAnonShared | kVmaSysvShm;
    case VmaKind::kAnonShared:
      return kVmaRegular | kVmaAnonShared;
    case VmaKind::kHeap:
      return kVmaRegular | kVmaAnonPrivate | kVmaHeap;
    case VmaKind::kVdso:
      return kVmaRegular | kVmaAnonPrivate | kVmaVdso;
    case VmaKind::kVvar:
    case VmaKind::kVvarClock:
      return kVmaRegular | kVmaAnonPrivate | kVmaVvar;
    case VmaKind::kAioRing:
      return kVmaAioRing;
    case VmaKind::kVsyscall:
      return kVmaVsyscall | kVmaAnonPrivate;
    default:
      // The stack is but a mapping that grows: MAP_GROWSDOWN says so.
      return kVmaRegular | kVmaAnonPrivate;
  }
}

// hugetlbfs has its huge page as block size.
uint32_t HugePageShift(blksize_t size) {
  return static_cast<uint32_t>(std::countr_zero(static_cast<uint64_t>(size)));
}

// mmap(2) flags.
uint32_t FlagsOf(const Vma& vma) {
  const Mapping& mapping = vma.mapping;
  uint32_t flags = mapping.shared ? MAP_SHARED : MAP_PRIVATE;
  if (!IsFile(vma) && vma.kind != VmaKind::kAioRing) flags |= MAP_ANONYMOUS;
  if (vma.grows_down) flags |= MAP_GROWSDOWN;
  // MLOCK_ONFAULT has no bit of its own in the image: restore locks such memory whole.
  if (mapping.Has(VmFlag::kLocked)) flags |= MAP_LOCKED;
  if (mapping.Has(VmFlag::kNoReserve)) flags |= MAP_NORESERVE;
  if (vma.facts != nullptr && vma.facts->hugetlb) {
    flags |= MAP_HUGETLB;
    // The size of a page, where no file that is mapped has it.
    const bool file = vma.kind == VmaKind::kFilePrivate || vma.kind == VmaKind::kFileShared;
    if (!file && !(vma.facts->memfd && mapping.shared)) {
      flags |= HugePageShift(vma.facts->stat.st_blksize) << MAP_HUGE_SHIFT;
    }
  }
  return flags;
}

// madvise(2) advice, a bit for each: 1 << MADV_...
uint64_t AdviceOf(const Mapping& mapping) {
  constexpr std::pair<VmFlag, int> kAdvice[] = {
      {VmFlag::kRandomRead, MADV_RANDOM}, {VmFlag::kSequentialRead, MADV_SEQUENTIAL},
      {VmFlag::kDontCopy, MADV_DONTFORK}, {VmFlag::kMergeable, MADV_MERGEABLE},
      {VmFlag::kHugePage, MADV_HUGEPAGE}, {VmFlag::kNoHugePage, MADV_NOHUGEPAGE},
      {VmFlag::kDontDump, MADV_DONTDUMP}, {VmFlag::kWipeOnFork, MADV_WIPEONFORK},
  };
  uint64_t bits = 0;
  for (const auto& [flag, advice] : kAdvice) {
    if (mapping.Has(flag)) bits |= uint64_t{1} << advice;
  }
  return bits;
}

absl::Status FillEntry(const Vma& vma, MappedFileId file_id, image::vma_entry& entry) {
  const Mapping& mapping = vma.mapping;
  entry.set_start(mapping.start.value());
  entry.set_end(mapping.end.value());
  entry.set_pgoff(mapping.offset);
  entry.set_shmid(0);
  entry.set_prot(ProtOf(mapping));
  entry.set_flags(FlagsOf(vma));
  entry.set_status(StatusOf(vma));
  entry.set_fd(-1);
  if (const uint64_t advice = AdviceOf(mapping); advice != 0) entry.set_madv(advice);
  if (vma.kind == VmaKind::kAnonShared) entry.set_shmid(vma.facts->shmem_id);
  if (vma.kind == VmaKind::kSysvShm) {
    entry.set_shmid(vma.facts->shmem_id);
    entry.set_fdflags(OpenFlagsOf(mapping));
  }
  if (vma.kind == VmaKind::kAioRing) entry.set_fdflags(OpenFlagsOf(mapping));
  if (IsFile(vma)) {
    ASSIGN_OR_RETURN(const uint32_t id, file_id(vma));
    entry.set_shmid(id);
    entry.set_fdflags(OpenFlagsOf(mapping));
  }
  return absl::OkStatus();
}

// Puts inaccessible pieces where guards lie. Entries and guards both ascend.
class GuardCutter {
 public:
  explicit GuardCutter(std::span<const GuardRange> guards) : guards_(guards) {}

  using Entries = google::protobuf::RepeatedPtrField<image::vma_entry>;

  // Cuts the last one.
  void Cut(Entries& entries) {
    const uint64_t start = entries.rbegin()->start();
    while (!guards_.empty() && guards_.front().end.value() <= start) guards_ = guards_.subspan(1);
    if (guards_.empty() || guards_.front().start.value() >= entries.rbegin()->end()) return;
    image::vma_entry entry = std::move(*entries.rbegin());
    entries.RemoveLast();
    for (const GuardRange& guard : guards_) {
      if (guard.start.value() >= entry.end()) break;
      if (guard.start.value() > entry.start()) *entries.Add() = CutOff(entry, guard.start.value());
      const uint64_t end = std::min(guard.end.value(), entry.end());
      image::vma_entry inaccessible = end == entry.end() ? entry : CutOff(entry, end);
      inaccessible.set_prot(PROT_NONE);
      *entries.Add() = std::move(inaccessible);
      if (end == entry.end()) return;
    }
    *entries.Add() = std::move(entry);
  }

 private:
  // Splits at `address`: returns the front, leaves the rest in `entry`.
  static image::vma_entry CutOff(image::vma_entry& entry, uint64_t address) {
    image::vma_entry front = entry;
    front.set_end(address);
    if (entry.status() & (kVmaFilePrivate | kVmaFileShared | kVmaAnonShared)) {
      entry.set_pgoff(entry.pgoff() + (address - entry.start()));
    }
    entry.set_start(address);
    // Only the lowest piece has room below it to grow into.
    entry.set_flags(entry.flags() & ~static_cast<uint32_t>(MAP_GROWSDOWN));
    return front;
  }

  std::span<const GuardRange> guards_;
};

// One refusal for all the mappings of one thing.
class Refusals {
 public:
  explicit Refusals(pid_t pid) : pid_(pid) {}

  void Add(const Vma& vma, const WhyNot& why_not) {
    const Mapping& mapping = vma.mapping;
    const auto key =
        std::make_tuple(mapping.file.dev, mapping.file.ino, mapping.name, std::string(why_not.why));
    Entry& entry = entries_[key];
    if (entry.mappings++ > 0) return;
    entry.order = entries_.size();
    entry.refusal = {
        pid_,
        absl::StrFormat("mapping %x-%x (%s, %s)", mapping.start.value(), mapping.end.value(),
                        mapping.name.empty() ? "anonymous" : mapping.name,
                        mapping.shared ? "shared" : "private"),
        std::string(why_not.why), std::string(why_not.remedy)};
  }

  ResourceRefusals Take() && {
    ResourceRefusals refusals(entries_.size());
    for (auto& [key, entry] : entries_) {
      if (entry.mappings > 1) {
        entry.refusal.resource += absl::StrFormat(" and %u more of it", entry.mappings - 1);
      }
      refusals[entry.order - 1] = std::move(entry.refusal);
    }
    return refusals;
  }

 private:
  struct Entry {
    ResourceRefusal refusal;
    size_t mappings = 0;
    size_t order = 0;
  };
  pid_t pid_;
  std::map<std::tuple<dev_t, ino_t, std::string, std::string>, Entry> entries_;
};

}  // namespace

uint32_t OpenFlagsOf(const Mapping& mapping) {
  return mapping.shared && mapping.Has(VmFlag::kMayWrite) ? O_RDWR : O_RDONLY;
}

absl::StatusOr<CollectedVmas> CollectVmas(pid_t pid, const VmaList& vmas,
                                          std::optional<std::span<const GuardRange>> guards,
                                          MappedFileId file_id) {
  CollectedVmas collected;
  collected.entries.Reserve(static_cast<int>(vmas.size()));
  Refusals refusals(pid);
  GuardCutter cutter(guards.value_or(std::span<const GuardRange>()));
  for (const Vma& vma : vmas) {
    if (!vma.mapping.flags.has_value()) {
      return absl::InternalError(absl::StrFormat(
          "VmFlags of the mapping at %x of task %d were never read", vma.start().value(), pid));
    }
    if (const std::optional<WhyNot> why_not = WhyNotDumpable(vma)) {
      refusals.Add(vma, *why_not);
      continue;
    }
    if (vma.mapping.Has(VmFlag::kGuarded) && !guards.has_value()) {
      refusals.Add(vma, WhyNotGuarded());
      continue;
    }
    // Since Linux 6.13 the virtual clocks' pages have a mapping of their own behind [vvar]. Restore
    // knows one area for both, and moves its own pair to that place.
    if (vma.kind == VmaKind::kVvarClock && !collected.entries.empty() &&
        (collected.entries.rbegin()->status() & kVmaVvar) &&
        collected.entries.rbegin()->end() == vma.start().value()) {
      collected.entries.rbegin()->set_end(vma.end().value());
      continue;
    }
    RETURN_IF_ERROR(FillEntry(vma, file_id, *collected.entries.Add()));
    cutter.Cut(collected.entries);
  }
  collected.refusals = std::move(refusals).Take();
  return collected;
}

ResourceRefusals RefuseMappings(pid_t pid, const VmaList& vmas) {
  Refusals refusals(pid);
  for (const Vma& vma : vmas) {
    if (const std::optional<WhyNot> why_not = WhyNotDumpable(vma)) refusals.Add(vma, *why_not);
  }
  return std::move(refusals).Take();
}

}  // namespace dumpctl
