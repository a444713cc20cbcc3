#include "dump/mm/shared_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "dumpctl/failure.h"
#include "dumpctl/status_macros.h"
#include "proc/proc_fs.h"

namespace dumpctl {
namespace {

constexpr off_t kPage = static_cast<off_t>(kImagePageSize);

absl::Status SeekError(const char* what) {
  return absl::ErrnoToStatus(errno, absl::StrCat(what, " in shared memory"));
}

absl::Status FindData(SharedObject& object) {
  struct stat stat = {};
  if (fstat(object.file.get(), &stat) < 0) return absl::ErrnoToStatus(errno, "fstat");
  // hugetlbfs does not tell where, only how much.
  if (stat.st_blocks == 0) return absl::OkStatus();
  for (off_t end = 0;;) {
    const off_t start = lseek(object.file.get(), end, SEEK_DATA);
    if (start < 0 && errno == ENXIO) return absl::OkStatus();  // holes are all that is left
    if (start < 0) return SeekError("SEEK_DATA");
    end = lseek(object.file.get(), start, SEEK_HOLE);
    if (end < 0) return SeekError("SEEK_HOLE");
    // Of a size that is no whole number of pages, the last page is one all the same.
    const auto pages = static_cast<uint64_t>((end - start + kPage - 1) / kPage);
    object.runs.push_back({RemoteAddress(static_cast<uint64_t>(start)), pages});
    object.pages += pages;
  }
}

constexpr WhyNot kNotOurs = {"it is called like a memfd, and is a file of some file system",
                             "let the program close it"};

// The images are named by these numbers, whatever has them.
absl::Status SameNumber(uint64_t id) {
  return MakeFailure(Failure::kRefused, absl::StatusCode::kUnimplemented,
                     absl::StrCat("refused: SysV shared memory segment ", id,
                                  " has the number of other shared memory, and the images have one "
                                  "place for both; dump it after the program has made one anew"));
}

constexpr std::string_view kMemfdPrefix = "/memfd:";

// `file` may have been opened for anything; what is returned can be read.
absl::StatusOr<SharedObject> Open(int file) {
  ASSIGN_OR_RETURN(const ProcDir self, ProcDir::OpenOwn());
  SharedObject object;
  ASSIGN_OR_RETURN(object.file, self.Open(absl::StrCat("fd/", file), O_RDONLY));
  RETURN_IF_ERROR(FindData(object));
  return object;
}

// hugetlbfs has its huge page as block size. Each size has a file system of the kernel's own.
bool IsHugetlb(const struct stat& stat) {
  const auto size = static_cast<uint64_t>(stat.st_blksize);
  if (size <= kImagePageSize || !std::has_single_bit(size)) return false;
  const auto shift = static_cast<unsigned>(std::countr_zero(size));
  const UniqueFd probe(
      memfd_create("dumpctl", MFD_CLOEXEC | MFD_HUGETLB | shift << MAP_HUGE_SHIFT));
  struct stat ours = {};
  return probe && fstat(probe.get(), &ours) == 0 && ours.st_dev == stat.st_dev;
}

absl::StatusOr<MemfdFacts> ReadMemfd(BorrowedFd file, std::string_view name) {
  MemfdFacts facts;
  if (fstat(file.get(), &facts.stat) < 0) return absl::ErrnoToStatus(errno, "fstat of a memfd");
  const int seals = fcntl(file.get(), F_GET_SEALS);
  if (seals < 0) return absl::ErrnoToStatus(errno, "F_GET_SEALS");
  facts.seals = static_cast<uint32_t>(seals);
  // Shared anonymous memory in huge pages has a name without it.
  if (name.starts_with(kMemfdPrefix)) name.remove_prefix(kMemfdPrefix.size());
  facts.name = name;
  if (IsHugetlb(facts.stat)) {
    facts.huge_page_shift =
        static_cast<uint32_t>(std::countr_zero(static_cast<uint64_t>(facts.stat.st_blksize)));
  }
  return facts;
}

}  // namespace

absl::StatusOr<SharedObjects> FindSharedObjects(const VmaList& vmas, SharedObjects known) {
  for (const Vma& vma : vmas) {
    const bool memfd = vma.kind == VmaKind::kMemfd;
    const bool sysv = vma.kind == VmaKind::kSysvShm;
    if (!memfd && !sysv && vma.kind != VmaKind::kAnonShared) continue;
    if (vma.facts == nullptr || vma.fd() < 0) continue;
    if (const auto it = known.find(vma.facts->shmem_id); it != known.end()) {
      if (it->second.sysv != sysv) return SameNumber(it->first);
      continue;
    }
    // The mapping's own descriptor is there to be stat-ed alone (O_PATH).
    ASSIGN_OR_RETURN(SharedObject object, Open(vma.fd()));
    if (memfd) {
      ASSIGN_OR_RETURN(object.memfd, ReadMemfd(BorrowedFd(object.file), vma.facts->path));
    }
    object.sysv = sysv;
    known.emplace(vma.facts->shmem_id, std::move(object));
  }
  return known;
}

bool IsMemfd(const struct stat& stat, std::string_view link, dev_t kernel_tmpfs) {
  return S_ISREG(stat.st_mode) && link.starts_with(kMemfdPrefix) &&
         (stat.st_dev == kernel_tmpfs || IsHugetlb(stat));
}

WhyNot WhyNotMemfd() { return kNotOurs; }

absl::StatusOr<SharedObjects> AddMemfd(BorrowedFd file, std::string_view link,
                                       SharedObjects known) {
  constexpr std::string_view kDeleted = " (deleted)";
  if (link.ends_with(kDeleted)) link.remove_suffix(kDeleted.size());
  ASSIGN_OR_RETURN(SharedObject object, Open(file.get()));
  ASSIGN_OR_RETURN(object.memfd, ReadMemfd(BorrowedFd(object.file), link));
  known.emplace(object.memfd->stat.st_ino, std::move(object));
  return known;
}

absl::Status SharedObjectMemory::Read(std::span<const PageRun> runs,
                                      std::span<std::byte> bytes) const {
  for (const PageRun& run : runs) {
    for (uint64_t done = 0; done < run.bytes();) {
      const ssize_t got = pread(file_.get(), bytes.data() + done, run.bytes() - done,
                                static_cast<off_t>(run.start.value() + done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return absl::ErrnoToStatus(errno, "reading shared memory");
      if (got == 0) {
        std::memset(bytes.data() + done, 0, run.bytes() - done);
        break;
      }
      done += static_cast<uint64_t>(got);
    }
    bytes = bytes.subspan(run.bytes());
  }
  return absl::OkStatus();
}

}  // namespace dumpctl
