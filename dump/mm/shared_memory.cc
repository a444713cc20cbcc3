#include "dump/mm/shared_memory.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>

#include "absl/strings/str_cat.h"
#include "dumpctl/status_macros.h"
#include "proc/proc_fs.h"

namespace dumpctl {
namespace {

constexpr off_t kPage = static_cast<off_t>(kImagePageSize);

absl::Status SeekError(const char* what) {
  return absl::ErrnoToStatus(errno, absl::StrCat(what, " in shared memory"));
}

absl::Status FindData(SharedObject& object) {
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

}  // namespace

absl::StatusOr<SharedObjects> FindSharedObjects(const VmaList& vmas, SharedObjects known) {
  for (const Vma& vma : vmas) {
    if (vma.kind != VmaKind::kAnonShared || vma.facts == nullptr || vma.fd() < 0) continue;
    const auto [object, is_new] = known.try_emplace(vma.facts->shmem_id);
    if (!is_new) continue;
    // The mapping's own descriptor is there to be stat-ed alone (O_PATH).
    ASSIGN_OR_RETURN(const ProcDir self, ProcDir::OpenTask(getpid()));
    ASSIGN_OR_RETURN(object->second.file, self.Open(absl::StrCat("fd/", vma.fd()), O_RDONLY));
    RETURN_IF_ERROR(FindData(object->second));
  }
  return known;
}

absl::Status SharedObjectMemory::Read(std::span<const PageRun> runs,
                                      std::span<std::byte> bytes) const {
  for (const PageRun& run : runs) {
    for (uint64_t done = 0; done < run.bytes();) {
      const ssize_t got = pread(file_.get(), bytes.data() + done, run.bytes() - done,
                                static_cast<off_t>(run.start.value() + done));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) {
        return absl::ErrnoToStatus(got < 0 ? errno : EIO, "reading shared memory");
      }
      done += static_cast<uint64_t>(got);
    }
    bytes = bytes.subspan(run.bytes());
  }
  return absl::OkStatus();
}

}  // namespace dumpctl
