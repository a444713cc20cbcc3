#include "dump/mm/page_scanner.h"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <utility>

#include "absl/functional/function_ref.h"
#include "dumpctl/by_two.h"
#include "dumpctl/status_macros.h"
#include "dumpctl/trace.h"
#include "proc/pagemap.h"

namespace dumpctl {
namespace {

// What lies between mappings costs nothing with PAGEMAP_SCAN, and 8 bytes a page without.
constexpr uint64_t kFar = 16 << 20;

// To look into a page table takes 2 to 3 us, to have another thread do so 60.
constexpr uint64_t kManyTables = 1 << 10;  // KiB
constexpr uint64_t kWide = 256 << 20;

enum class Wanted : uint8_t {
  kNothing,
  kGuards,      // its content is elsewhere
  kWritten,     // anonymous memory: all but zeros
  kFileCopies,  // private memory over a file
  kWhole,
};

Wanted WantedOf(const Vma& vma) {
  // Memory of devices: there is nothing that could be read.
  if (vma.mapping.Has(VmFlag::kIo) || vma.mapping.Has(VmFlag::kPfnMap)) return Wanted::kNothing;
  switch (vma.kind) {
    case VmaKind::kAnonPrivate:
    case VmaKind::kHeap:
    case VmaKind::kStack:
      return Wanted::kWritten;
    case VmaKind::kFilePrivate:
      // Over a file even the kernel's page of zeros is content, because it hides the file's: same
      // page merging (ksm/use_zero_pages) and UFFDIO_ZEROPAGE put it there.
      return Wanted::kFileCopies;
    case VmaKind::kMemfd:
      return vma.mapping.shared ? Wanted::kGuards : Wanted::kFileCopies;
    case VmaKind::kFileShared:
    case VmaKind::kSysvShm:
    case VmaKind::kAnonShared:  // its contents are the object's: see SharedObjects
      return Wanted::kGuards;
    case VmaKind::kVdso:
    case VmaKind::kAioRing:
      return Wanted::kWhole;
    default:
      // Time pages, [vsyscall], and what is refused (WhyNotDumpable).
      return Wanted::kNothing;
  }
}

PageFilter FilterOf(Wanted wanted) {
  if (wanted == Wanted::kWritten) return PageFilter::kNonzero;
  return wanted == Wanted::kFileCopies ? PageFilter::kCopied : PageFilter::kGuards;
}

// One over as many near mappings as are treated alike.
struct Walk {
  Wanted wanted = Wanted::kNothing;
  RemoteAddress start;
  RemoteAddress end;
  size_t untouched = 0;  // mappings behind its end

  bool empty() const { return start == end; }

  bool GoesOnWith(const Vma& vma, Wanted what, uint64_t far) const {
    constexpr size_t kMany = 8;  // to pass over them takes longer than another call
    if (what != wanted) return false;
    return empty() || vma.untouched || (vma.start() - end <= far && untouched < kMany);
  }

  void Add(const Vma& vma, Wanted what) {
    wanted = what;
    if (vma.untouched) {
      ++untouched;
      return;
    }
    if (empty()) start = vma.start();
    end = vma.end();
    untouched = 0;
  }
};

void AddRun(RemoteAddress start, RemoteAddress end, std::vector<PageRun>& runs) {
  const uint64_t pages = (end - start) / kImagePageSize;
  if (!runs.empty() && runs.back().end() == start) {
    runs.back().pages += pages;
  } else {
    runs.push_back({start, pages});
  }
}

void AddPages(RemoteAddress start, RemoteAddress end, ScannedPages& scanned) {
  scanned.pages += (end - start) / kImagePageSize;
  AddRun(start, end, scanned.runs);
}

void AddGuard(RemoteAddress start, RemoteAddress end, std::vector<GuardRange>& guards) {
  if (!guards.empty() && guards.back().end == start) {
    guards.back().end = end;
  } else {
    guards.push_back({start, end});
  }
}

// A mapping of which parent images hold pages.
class SavedMapping {
 public:
  SavedMapping(std::span<const PageRun> saved, Pagemap& pagemap, ScannedPages& scanned)
      : saved_(saved), pagemap_(pagemap), scanned_(scanned) {}

  // Whether they hold some of it. To be asked of ascending mappings.
  bool IsOf(const Vma& vma) {
    while (!saved_.empty() && saved_.front().end() <= vma.start()) saved_ = saved_.subspan(1);
    return !saved_.empty() && saved_.front().start < vma.end();
  }

  // Scans it, if IsOf said so. False: nobody knows what was written there.
  absl::StatusOr<bool> Scan(const Vma& vma) {
    absl::Status status;
    RemoteAddress same_from = vma.start();
    const auto add = [&](const UnlikePages& unlike) {
      status.Update(AddSame(same_from, unlike.start));
      same_from = unlike.end;
      if (unlike.guard) AddGuard(unlike.start, unlike.end, *scanned_.guards);
      if (!unlike.content) return;
      if (unlike.written) {
        AddPages(unlike.start, unlike.end, scanned_);
      } else {
        status.Update(AddSame(unlike.start, unlike.end));  // swapped
      }
    };
    ASSIGN_OR_RETURN(const bool known, pagemap_.FindUnlike(vma.start(), vma.end(), add));
    if (known) status.Update(AddSame(same_from, vma.end()));
    RETURN_IF_ERROR(status);
    return known;
  }

 private:
  // Of what was protected: whatever of it is not saved is looked for, for it may be zeros alone.
  absl::Status AddSame(RemoteAddress start, RemoteAddress end) {
    while (start < end) {
      while (!saved_.empty() && saved_.front().end() <= start) saved_ = saved_.subspan(1);
      const bool is_saved = !saved_.empty() && saved_.front().start <= start;
      RemoteAddress until = end;
      if (is_saved) {
        until = std::min(end, saved_.front().end());
        AddRun(start, until, scanned_.in_parent);
      } else {
        if (!saved_.empty()) until = std::min(end, saved_.front().start);
        RETURN_IF_ERROR(
            pagemap_.Find(start, until, PageFilter::kNonzero, [this](const auto& found) {
              if (!found.guard) AddPages(found.start, found.end, scanned_);
            }));
      }
      start = until;
    }
    return absl::OkStatus();
  }

  std::span<const PageRun> saved_;  // from where it is
  Pagemap& pagemap_;
  ScannedPages& scanned_;
};

// Where much memory is in pieces, as few as there can be.
void Join(const FoundPages& each, std::vector<FoundPages>& found) {
  if (!found.empty() && found.back().end == each.start && found.back().guard == each.guard) {
    found.back().end = each.end;
  } else {
    found.push_back(each);
  }
}

// The lower half here, the upper one beside.
absl::Status FindByTwo(const ProcDir& task, const KernelFeatures& features, Pagemap& pagemap,
                       const Walk& walk, absl::FunctionRef<void(const FoundPages&)> found) {
  const RemoteAddress middle =
      walk.start + (walk.end - walk.start) / 2 / kImagePageSize * kImagePageSize;
  const PageFilter filter = FilterOf(walk.wanted);
  std::vector<FoundPages> above;
  absl::Status status;
  absl::Status beside;
  const auto find_above = [&]() -> absl::Status {
    const TraceSpan span(TraceKind::kThread, "scan pages");
    ASSIGN_OR_RETURN(Pagemap own, Pagemap::Open(task, features));
    return own.Find(middle, walk.end, filter,
                    [&above](const FoundPages& each) { Join(each, above); });
  };
  DoByTwo([&] { beside = find_above(); },
          [&] { status = pagemap.Find(walk.start, middle, filter, found); });
  RETURN_IF_ERROR(status);
  RETURN_IF_ERROR(beside);
  for (const FoundPages& each : above) found(each);
  return absl::OkStatus();
}

}  // namespace

bool MayHaveParent(const VmaList& vmas) {
  return std::none_of(vmas.begin(), vmas.end(), [](const Vma& vma) {
    return vma.facts != nullptr && vma.facts->hugetlb && !vma.mapping.shared;
  });
}

bool IsNotCopied(const Vma& vma) {
  return vma.mapping.Has(VmFlag::kDontCopy) || vma.mapping.Has(VmFlag::kWipeOnFork) ||
         vma.mapping.Has(VmFlag::kDroppable) || vma.mapping.Has(VmFlag::kHugeTlb);
}

absl::StatusOr<ScannedPages> ScanPages(const ProcDir& task, const VmaList& vmas,
                                       const KernelFeatures& features, ScanOf of,
                                       std::span<const PageRun> saved, uint64_t page_tables) {
  ASSIGN_OR_RETURN(Pagemap pagemap, Pagemap::Open(task, features));
  ScannedPages scanned;
  // The task is frozen meanwhile: a few runs a mapping is what programs have.
  scanned.runs.reserve(1024 + 4 * vmas.size());
  if (pagemap.knows_guards()) scanned.guards.emplace();
  const auto add = [&scanned](const FoundPages& found) {
    if (found.guard) {
      AddGuard(found.start, found.end, *scanned.guards);
    } else {
      AddPages(found.start, found.end, scanned);
    }
  };

  // Between the mappings of a copy lies what it was made with.
  const uint64_t far = of == ScanOf::kCopy ? 0 : kFar;
  Walk walk;
  const auto finish = [&]() -> absl::Status {
    const Walk done = std::exchange(walk, {});
    if (done.empty() || done.wanted == Wanted::kNothing) return absl::OkStatus();
    if (page_tables >= kManyTables && done.end - done.start >= kWide) {
      return FindByTwo(task, features, pagemap, done, add);
    }
    return pagemap.Find(done.start, done.end, FilterOf(done.wanted), add);
  };
  if (!MayHaveParent(vmas)) saved = {};
  SavedMapping saved_mapping(saved, pagemap, scanned);
  for (const Vma& vma : vmas) {
    if (of != ScanOf::kTask && !vma.mapping.flags) {
      return absl::InternalError("pages are looked for by VmFlags that are not known");
    }
    const bool here = of == ScanOf::kTask || IsNotCopied(vma) == (of == ScanOf::kNotCopied);
    const Wanted wanted = here ? WantedOf(vma) : Wanted::kNothing;
    if (!walk.GoesOnWith(vma, wanted, far)) RETURN_IF_ERROR(finish());
    if (wanted != Wanted::kNothing) scanned.pages_scanned += vma.size() / kImagePageSize;
    if (wanted == Wanted::kWritten && saved_mapping.IsOf(vma)) {
      RETURN_IF_ERROR(finish());
      ASSIGN_OR_RETURN(const bool known, saved_mapping.Scan(vma));
      if (known) continue;
    }
    if (wanted == Wanted::kWhole) {
      AddPages(vma.start(), vma.end(), scanned);
    } else {
      walk.Add(vma, wanted);
    }
  }
  RETURN_IF_ERROR(finish());
  return scanned;
}

ScannedPages Joined(const ScannedPages& some, ScannedPages others) {
  others.pages_scanned += some.pages_scanned;
  std::vector<PageRun> runs;
  std::merge(some.runs.begin(), some.runs.end(), others.runs.begin(), others.runs.end(),
             std::back_inserter(runs),
             [](const PageRun& a, const PageRun& b) { return a.start < b.start; });
  others.runs.clear();
  others.pages = 0;
  for (const PageRun& run : runs) AddPages(run.start, run.end(), others);
  if (!some.guards || !others.guards) {
    others.guards.reset();
    return others;
  }
  std::vector<GuardRange> guards;
  std::merge(some.guards->begin(), some.guards->end(), others.guards->begin(), others.guards->end(),
             std::back_inserter(guards),
             [](const GuardRange& a, const GuardRange& b) { return a.start < b.start; });
  others.guards->clear();
  for (const GuardRange& guard : guards) AddGuard(guard.start, guard.end, *others.guards);
  return others;
}

}  // namespace dumpctl
