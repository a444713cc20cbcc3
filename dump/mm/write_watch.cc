#include "dump/mm/write_watch.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <utility>

#include "dumpctl/failure.h"
#include "dumpctl/kernel_abi.h"
#include "dumpctl/status_macros.h"
#include "proc/task_maps.h"

namespace dumpctl {
namespace {

constexpr uint64_t kEndPiece = 32 << 20;

bool IsOverFile(const Vma& vma) {
  return vma.kind == VmaKind::kFilePrivate || vma.kind == VmaKind::kMemfd;
}

// As far as maps tells. The kernel's own mappings have names in brackets, and so has what
// prctl(PR_SET_VMA_ANON_NAME) named.
bool MayWatch(const Mapping& mapping) {
  if (mapping.shared || mapping.name.starts_with("/dev/")) return false;
  return !mapping.name.starts_with("[") || mapping.name == "[heap]" || mapping.name == "[stack]" ||
         mapping.name.starts_with("[anon:");
}

}  // namespace

bool CanWatch(const Vma& vma) {
  if (vma.mapping.shared || (vma.facts != nullptr && vma.facts->hugetlb)) return false;
  switch (vma.kind) {
    case VmaKind::kAnonPrivate:
    case VmaKind::kHeap:
    case VmaKind::kStack:
    case VmaKind::kFilePrivate:
    case VmaKind::kMemfd:
      return true;
    default:
      return false;
  }
}

absl::StatusOr<WriteWatch> WriteWatch::Create(UniqueFd userfaultfd) {
  uffdio_api api = {.api = UFFD_API, .features = abi::kUffdFeatureWpAsync};
  if (ioctl(userfaultfd.get(), UFFDIO_API, &api) < 0) {
    if (errno != EINVAL) return absl::ErrnoToStatus(errno, "UFFDIO_API");
    return MakeFailure(Failure::kHost, absl::StatusCode::kFailedPrecondition,
                       "this kernel does not track writes: use Linux 6.9 or newer");
  }
  return WriteWatch(std::move(userfaultfd));
}

absl::StatusOr<WriteWatch> WriteWatch::CreateIn(RemoteSyscalls& calls) {
  ASSIGN_OR_RETURN(
      UniqueFd made,
      calls.OpenAside(SYS_userfaultfd, {O_CLOEXEC | O_NONBLOCK | abi::kUffdUserModeOnly, 0}));
  return Create(std::move(made));
}

bool WriteWatch::IsAlive(BorrowedFd userfaultfd) {
  // Nothing is mapped there. An address space that is gone has no users, which is found out first.
  constexpr uint64_t kNowhere = 4096;
  uffdio_range range = {kNowhere, kImagePageSize};
  return ioctl(userfaultfd.get(), UFFDIO_UNREGISTER, &range) == 0 ||
         (errno != ENOMEM && errno != ESRCH);
}

// What it watches already stays as it is.
absl::Status WriteWatch::Register(RemoteAddress start, RemoteAddress end) const {
  uffdio_register arguments = {.range = {start.value(), end - start},
                               .mode = UFFDIO_REGISTER_MODE_WP};
  if (ioctl(fd_.get(), UFFDIO_REGISTER, &arguments) == 0) return absl::OkStatus();
  if (errno == EBUSY) return absl::UnavailableError("another userfaultfd is registered there");
  // Of an address space that is gone, whose number of users is 0.
  if (errno == ESRCH || errno == ENOMEM) return absl::NotFoundError("its address space is gone");
  return absl::ErrnoToStatus(errno, "UFFDIO_REGISTER");
}

absl::Status WriteWatch::Add(RemoteAddress start, RemoteAddress end, const Pagemap& pagemap) const {
  RETURN_IF_ERROR(Register(start, end));
  // Pages may bear the mark of a protection that is not in force: mremap(2) of a watched mapping
  // beside another one ends the watch over both, and leaves the marks in one of them. Such pages
  // are written to without a trace (seen on Linux 6.18). Seldom, and to take all marks away costs
  // fifty times what looking for one does.
  const absl::StatusOr<bool> has_marks = pagemap.HasMarks(start, end);
  if (has_marks.ok() && !*has_marks) return absl::OkStatus();
  uffdio_writeprotect none = {.range = {start.value(), end - start}, .mode = 0};
  while (ioctl(fd_.get(), UFFDIO_WRITEPROTECT, &none) < 0) {
    if (errno == EAGAIN || errno == EINTR) continue;
    const int error = errno;
    Unregister(start, end);
    return absl::ErrnoToStatus(error, "UFFDIO_WRITEPROTECT");
  }
  return absl::OkStatus();
}

// Kernel trap: before Linux 6.17 UFFDIO_UNREGISTER takes away what any userfaultfd has registered
// there, and lets its waiters go on: they find zeros where its handler had yet to deliver pages.
// UFFDIO_REGISTER fails where another one is, always, and leaves what is ours as it is.
bool WriteWatch::Unregister(RemoteAddress start, RemoteAddress end) const {
  uffdio_range range = {start.value(), end - start};
  return Register(start, end).ok() && ioctl(fd_.get(), UFFDIO_UNREGISTER, &range) == 0;
}

void WriteWatch::End(const ProcDir& task, const KernelFeatures& features) {
  const auto mappings = ReadMapsOf(task);
  const auto pagemap = Pagemap::Open(task, features);
  if (mappings.ok() && pagemap.ok()) {
    for (const Mapping& mapping : *mappings) {
      // By us, or by somebody else. What nobody watches is not to be registered for a moment.
      if (mapping.shared || !pagemap->IsWatched(mapping.start).value_or(false)) continue;
      for (RemoteAddress at = mapping.start; at < mapping.end;) {
        const RemoteAddress next = at + std::min(kEndPiece, mapping.end - at);
        if (!Unregister(at, next)) break;
        at = next;
      }
    }
  }
  // Whatever of ours is left ends with it: there the kernel does look whose it is.
  fd_.Reset();
}

absl::Status WriteWatch::AddAll(const ProcDir& task, const KernelFeatures& features) const {
  ASSIGN_OR_RETURN(const std::vector<Mapping> mappings, ReadMapsOf(task));
  ASSIGN_OR_RETURN(const Pagemap pagemap, Pagemap::Open(task, features));
  for (const Mapping& mapping : mappings) {
    if (!MayWatch(mapping)) continue;
    ASSIGN_OR_RETURN(const bool watched, pagemap.IsWatched(mapping.start));
    // PAGEMAP_SCAN does not tell by whom. Of two who protect the same pages each takes from the
    // other what was written before.
    const absl::Status added =
        watched ? Register(mapping.start, mapping.end) : Add(mapping.start, mapping.end, pagemap);
    // Others are of a kind that cannot be watched: they are written whole, always.
    if (absl::IsUnavailable(added) || absl::IsNotFound(added)) return added;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<AddressRange>> FindDirty(const ProcDir& task, const VmaList& vmas,
                                                    const KernelFeatures& features, bool protect) {
  ASSIGN_OR_RETURN(Pagemap pagemap, Pagemap::Open(task, features));
  std::vector<AddressRange> dirty;
  const auto add = [&dirty](RemoteAddress start, RemoteAddress end) {
    if (!dirty.empty() && dirty.back().end == start) {
      dirty.back().end = end;
    } else {
      dirty.push_back({start, end});
    }
  };
  for (const Vma& vma : vmas) {
    bool watched = CanWatch(vma);
    if (watched) {
      ASSIGN_OR_RETURN(watched,
                       pagemap.FindWritten(vma.start(), vma.end(), IsOverFile(vma), protect, add));
    }
    if (!watched) add(vma.start(), vma.end());
  }
  return dirty;
}

absl::Status LeaveOutWatch(const ProcDir& task, const KernelFeatures& features,
                           std::vector<MappingFlags>& flags) {
  std::optional<Pagemap> pagemap;
  for (MappingFlags& mapping : flags) {
    VmFlags& has = mapping.flags;
    if (!has.Has(VmFlag::kUffdWriteProtect)) continue;
    if (has.Has(VmFlag::kUffdMissing) || has.Has(VmFlag::kUffdMinor)) continue;
    if (!pagemap) {
      ASSIGN_OR_RETURN(pagemap, Pagemap::Open(task, features));
    }
    ASSIGN_OR_RETURN(const bool watched, pagemap->IsWatched(mapping.start));
    if (watched) has.Clear(VmFlag::kUffdWriteProtect);
  }
  return absl::OkStatus();
}

}  // namespace dumpctl
