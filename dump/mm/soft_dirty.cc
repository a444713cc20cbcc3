#include "dump/mm/soft_dirty.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "dump/mm/write_watch.h"
#include "dumpctl/kernel_abi.h"
#include "dumpctl/status_macros.h"
#include "dumpctl/whole_io.h"
#include "proc/merged_pages.h"
#include "proc/pagemap.h"

namespace dumpctl {
namespace {

// A record in its memfd: this, and then the samples.
struct Head {
  uint64_t magic = 0x3254464f53435044;  // "DPCSOFT2"
  uint64_t witness = 0;
  uint64_t tells_scanned = 0;
  uint64_t scanned = 0;
  uint64_t samples = 0;
};

absl::StatusOr<bool> IsMarked(Pagemap& pagemap, RemoteAddress page) {
  bool marked = false;
  RETURN_IF_ERROR(pagemap.ForEach(page, page + kImagePageSize,
                                  [&](RemoteAddress, std::span<const uint64_t> entries) {
                                    marked = (entries.front() & abi::kPagemapSoftDirty) != 0;
                                  }));
  return marked;
}

// The addresses that have to be looked at: from the first page of a table on, so that its samples
// are among them, and never one table in two pieces.
std::vector<AddressRange> WholeTables(std::span<const PageRun> runs) {
  constexpr uint64_t kBytes = ChangedPages::kTable * kImagePageSize;
  const auto table_of = [](RemoteAddress at) { return at.value() / kBytes; };
  std::vector<AddressRange> tables;
  for (const PageRun& run : runs) {
    const RemoteAddress start(table_of(run.start) * kBytes);
    if (!tables.empty() && table_of(tables.back().end - 1) + 1 >= table_of(start)) {
      tables.back().end = run.end();
    } else {
      tables.push_back({start, run.end()});
    }
  }
  return tables;
}

void AddByTables(RemoteAddress at, std::span<const uint64_t> entries, const FrameFlags& flags,
                 ChangedPages& changed) {
  for (uint64_t page = at.value() / kImagePageSize; !entries.empty();) {
    const size_t n =
        std::min<size_t>(entries.size(), ChangedPages::kTable - page % ChangedPages::kTable);
    changed.Add(page, entries.first(n), [&flags](uint64_t frame) { return flags.IsForked(frame); });
    entries = entries.subspan(n);
    page += n;
  }
}

bool IsMergeable(const Vma& vma) {
  return !vma.mapping.flags || vma.mapping.Has(VmFlag::kMergeable);
}

// All but the samples. Without a witness where they would not be believed anyway.
SoftDirtyRecord BeginRecord(const VmaList& vmas, std::span<const PageRun> runs, bool mergeable) {
  const PageMerging merging = PageMerging::Read();
  if (!merging.KeepsMarks() || (merging.active && mergeable)) return {};
  return {.witness = FindWitness(vmas, runs), .scanned = merging.scanned};
}

// Of huge pages the kernel keeps no such bits, and the vDSO is its own.
std::vector<AddressRange> Untold(const VmaList& vmas) {
  std::vector<AddressRange> untold;
  for (const Vma& vma : vmas) {
    if (!CanWatch(vma)) untold.push_back({vma.start(), vma.end()});
  }
  return untold;
}

}  // namespace

absl::StatusOr<UniqueFd> SoftDirtyRecord::Write() const {
  UniqueFd fd(memfd_create("dumpctl-soft-dirty", MFD_CLOEXEC));
  if (!fd) return absl::ErrnoToStatus(errno, "memfd_create");
  const Head head{.witness = witness.value(),
                  .tells_scanned = scanned.has_value(),
                  .scanned = scanned.value_or(0),
                  .samples = samples.size()};
  int error = WriteAll(BorrowedFd(fd), std::as_bytes(std::span(&head, 1)));
  if (error == 0) error = WriteAll(BorrowedFd(fd), std::as_bytes(std::span(samples)));
  if (error != 0) return absl::ErrnoToStatus(error, "writing what is known of soft-dirty bits");
  return fd;
}

absl::StatusOr<SoftDirtyRecord> SoftDirtyRecord::Read(BorrowedFd memfd) {
  const auto bad = [] { return absl::DataLossError("no record of soft-dirty bits"); };
  const auto read = [&](std::span<std::byte> bytes, size_t at) {
    return ReadAllAt(memfd, bytes, at) == static_cast<ssize_t>(bytes.size());
  };
  Head head;
  struct stat stat = {};
  if (fstat(memfd.get(), &stat) < 0 || !read(std::as_writable_bytes(std::span(&head, 1)), 0)) {
    return bad();
  }
  const uint64_t rest = static_cast<uint64_t>(stat.st_size) - sizeof head;
  if (head.magic != Head().magic || rest % sizeof(PageSample) != 0 ||
      rest / sizeof(PageSample) != head.samples) {
    return bad();
  }
  SoftDirtyRecord record{.witness = RemoteAddress(head.witness)};
  if (head.tells_scanned != 0) record.scanned = head.scanned;
  record.samples.resize(head.samples);
  if (!read(std::as_writable_bytes(std::span(record.samples)), sizeof head)) return bad();
  return record;
}

RemoteAddress FindWitness(const VmaList& vmas, std::span<const PageRun> runs) {
  auto run = runs.begin();
  RemoteAddress last_resort;
  for (const Vma& vma : vmas) {
    while (run != runs.end() && run->end() <= vma.start()) ++run;
    if (run == runs.end()) break;
    if (!CanWatch(vma)) continue;
    if (!vma.mapping.write && run->start < vma.end()) return std::max(run->start, vma.start());
    if (vma.kind != VmaKind::kStack) continue;
    const auto holds = [&](const PageRun& each) {
      return each.start < vma.end() && vma.end() <= each.end();
    };
    if (std::any_of(run, runs.end(), holds)) last_resort = vma.end() - kImagePageSize;
  }
  return last_resort;
}

absl::StatusOr<std::vector<AddressRange>> FindSoftDirty(const ProcDir& task, const VmaList& vmas,
                                                        std::span<const PageRun> runs,
                                                        const KernelFeatures& features,
                                                        const SoftDirtyRecord* known,
                                                        SoftDirtyRecord* next) {
  const bool mergeable = std::any_of(vmas.begin(), vmas.end(), IsMergeable);
  if (next != nullptr) *next = BeginRecord(vmas, runs, mergeable);
  const bool takes_samples = next != nullptr && next->witness;
  ASSIGN_OR_RETURN(Pagemap pagemap, Pagemap::Open(task, features));
  std::span<const PageSample> samples;
  if (known != nullptr && known->witness) {
    ASSIGN_OR_RETURN(const bool believed, IsMarked(pagemap, known->witness));
    if (believed) samples = known->samples;
  }
  const FrameFlags flags = takes_samples ? FrameFlags::Open() : FrameFlags();
  ChangedPages changed(samples, FindZeroFrames(), takes_samples);
  const std::vector<AddressRange> tables = WholeTables(runs);
  for (const AddressRange& range : tables) {
    RETURN_IF_ERROR(pagemap.ForEach(range.start, range.end,
                                    [&](RemoteAddress at, std::span<const uint64_t> entries) {
                                      AddByTables(at, entries, flags, changed);
                                    }));
  }
  if (next != nullptr) next->samples = std::move(changed.samples());
  // Merging does not stop for a task that stands: what was read while it went on is not believed.
  const bool lost =
      known != nullptr && PageMerging::Read().MayHaveTakenMarks(known->scanned, mergeable);
  return UnionOf(lost ? tables : changed.changed(), Untold(vmas));
}

absl::Status ClearSoftDirty(const ProcDir& task, BorrowedFd clear_refs,
                            const KernelFeatures& features, SoftDirtyRecord& record) {
  if (write(clear_refs.get(), "4", 1) != 1) {
    return absl::ErrnoToStatus(errno, absl::StrCat(task.path(), "/clear_refs"));
  }
  const RemoteAddress witness = std::exchange(record.witness, RemoteAddress());
  if (!witness) return absl::OkStatus();
  ASSIGN_OR_RETURN(const UniqueFd memory, task.Open("mem", O_RDWR));
  uint64_t word = 0;
  const auto at = static_cast<off_t>(witness.value());
  if (pread(memory.get(), &word, sizeof word, at) != sizeof word ||
      pwrite(memory.get(), &word, sizeof word, at) != sizeof word) {
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(Pagemap pagemap, Pagemap::Open(task, features));
  ASSIGN_OR_RETURN(const bool marked, IsMarked(pagemap, witness));
  if (marked) record.witness = witness;
  return absl::OkStatus();
}

}  // namespace dumpctl
