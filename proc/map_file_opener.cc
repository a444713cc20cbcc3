#include "proc/map_file_opener.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "dumpctl/failure.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

constexpr std::string_view kDeletedSuffix = " (deleted)";

std::string LinkName(const Mapping& mapping) {
  // Without leading zeros: the kernel looks names up by their exact spelling.
  return absl::StrFormat("map_files/%x-%x", mapping.start.value(), mapping.end.value());
}

absl::Status OpenError(int error, const ProcDir& task, const Mapping& mapping) {
  const std::string what =
      absl::StrCat(task.path(), "/", LinkName(mapping), " (", mapping.name, ")");
  switch (error) {
    case ENOENT:
    case ESRCH:
      return absl::NotFoundError(
          absl::StrCat(what, " is gone: the task died, or runs and has unmapped it"));
    case EPERM:
      return MakeFailure(Failure::kPermission, absl::StatusCode::kPermissionDenied,
                         absl::StrCat("opening ", what,
                                      " needs CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN in the "
                                      "initial user namespace"));
    case EACCES:
      return MakeFailure(Failure::kPermission, absl::StatusCode::kPermissionDenied,
                         absl::StrCat("opening ", what, " needs CAP_SYS_PTRACE over the task"));
    default:
      return absl::ErrnoToStatus(error, absl::StrCat("opening ", what));
  }
}

struct stat ToStat(const struct statx& from) {
  struct stat to = {};
  to.st_dev = makedev(from.stx_dev_major, from.stx_dev_minor);
  to.st_ino = from.stx_ino;
  to.st_nlink = from.stx_nlink;
  to.st_mode = from.stx_mode;
  to.st_uid = from.stx_uid;
  to.st_gid = from.stx_gid;
  to.st_rdev = makedev(from.stx_rdev_major, from.stx_rdev_minor);
  to.st_size = static_cast<off_t>(from.stx_size);
  to.st_blksize = static_cast<blksize_t>(from.stx_blksize);
  to.st_blocks = static_cast<blkcnt_t>(from.stx_blocks);
  to.st_atim = {from.stx_atime.tv_sec, from.stx_atime.tv_nsec};
  to.st_mtim = {from.stx_mtime.tv_sec, from.stx_mtime.tv_nsec};
  to.st_ctim = {from.stx_ctime.tv_sec, from.stx_ctime.tv_nsec};
  return to;
}

}  // namespace

absl::StatusOr<dev_t> KernelTmpfsDevice() {
  const UniqueFd probe(memfd_create("dumpctl", MFD_CLOEXEC));
  if (!probe) return absl::ErrnoToStatus(errno, "memfd_create");
  struct stat stat = {};
  if (fstat(probe.get(), &stat) != 0) return absl::ErrnoToStatus(errno, "fstat of a memfd");
  return stat.st_dev;
}

absl::StatusOr<OpenedMapFile> ProcMapFileOpener::Open(const Mapping& mapping) {
  ++counts_.opens;
  UniqueFd file(openat(task_.fd().get(), LinkName(mapping).c_str(), O_PATH | O_CLOEXEC));
  if (!file) return OpenError(errno, task_, mapping);
  FileFacts facts;
  RETURN_IF_ERROR(LearnStat(file, facts));
  RETURN_IF_ERROR(LearnPath(mapping, facts));
  RETURN_IF_ERROR(LearnMemory(mapping, file, facts));
  return OpenedMapFile{std::move(file), std::move(facts)};
}

absl::Status ProcMapFileOpener::LearnStat(const UniqueFd& file, FileFacts& facts) {
  // One call for both: the mount id is in statx(2) since Linux 5.8.
  ++counts_.stats;
  struct statx stat = {};
  if (statx(file.get(), "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_MNT_ID, &stat) != 0) {
    return absl::ErrnoToStatus(errno, "statx of a mapped file");
  }
  if ((stat.stx_mask & STATX_MNT_ID) == 0) {
    return MakeFailure(Failure::kHost, absl::StatusCode::kFailedPrecondition,
                       "this kernel's statx gives no mount id: Linux 5.8 or newer is needed");
  }
  facts.stat = ToStat(stat);
  facts.mount_id = stat.stx_mnt_id;
  facts.socket = S_ISSOCK(facts.stat.st_mode);
  return absl::OkStatus();
}

absl::Status ProcMapFileOpener::LearnPath(const Mapping& mapping, FileFacts& facts) {
  facts.path = mapping.name;
  // Only then is the printed name ambiguous; the link gives it as it is.
  if (mapping.name.find('\n') != std::string::npos) {
    ++counts_.links;
    ASSIGN_OR_RETURN(facts.path, task_.ReadLink(LinkName(mapping)));
    if (mapping.deleted && facts.path.ends_with(kDeletedSuffix)) {
      facts.path.resize(facts.path.size() - kDeletedSuffix.size());
    }
  }
  facts.deleted = mapping.deleted;
  if (mapping.deleted && facts.stat.st_nlink != 0 && IsLivingName(mapping, facts)) {
    facts.deleted = false;
    facts.path += kDeletedSuffix;
  }
  return absl::OkStatus();
}

bool ProcMapFileOpener::IsLivingName(const Mapping& mapping, const FileFacts& facts) {
  if (!mapping.name.starts_with('/')) return false;
  const auto names_it = [&](int dir, const std::string& path) {
    ++counts_.stats;
    struct stat stat = {};
    return fstatat(dir, path.c_str(), &stat, AT_SYMLINK_NOFOLLOW) == 0 &&
           stat.st_dev == facts.stat.st_dev && stat.st_ino == facts.stat.st_ino;
  };
  // The kernel prints paths as seen from the reader's root; where the file lies in a mount
  // namespace of the task's own, its path starts at that one's root.
  const std::string name = absl::StrCat(facts.path, std::string(kDeletedSuffix));
  return names_it(AT_FDCWD, name) || names_it(task_.fd().get(), absl::StrCat("root", name));
}

absl::Status ProcMapFileOpener::LearnMemory(const Mapping& mapping, const UniqueFd& file,
                                            FileFacts& facts) {
  facts.shmem = facts.stat.st_dev == kernel_tmpfs_;
  // hugetlbfs has its huge page as block size; few other file systems have one above a page, and
  // those are asked.
  if (facts.stat.st_blksize > sysconf(_SC_PAGESIZE)) {
    ++counts_.stats;
    struct statfs fs = {};
    if (fstatfs(file.get(), &fs) != 0)
      return absl::ErrnoToStatus(errno, "fstatfs of a mapped file");
    facts.hugetlb = fs.f_type == HUGETLBFS_MAGIC;
  }
  if (!facts.shmem && !facts.hugetlb) return absl::OkStatus();
  facts.shmem_id = facts.stat.st_ino;
  facts.sysv = facts.deleted && mapping.name.starts_with("/SYSV");
  facts.memfd = facts.deleted && mapping.name.starts_with("/memfd:");
  return absl::OkStatus();
}

}  // namespace dumpctl
