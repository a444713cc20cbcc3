#include "dump/fd/one_descriptor.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "dump/fd/file_refusal.h"
#include "dump/fd/proc_file.h"
#include "dump/fd/timerfd_file.h"
#include "dumpctl/failure.h"
#include "dumpctl/status_macros.h"
#include "proc/fdinfo_parser.h"
#include "proc/text_fields.h"

namespace dumpctl {
namespace {

// <linux/fcntl.h> collides with <fcntl.h>. Needs CONFIG_CHECKPOINT_RESTORE, like much else here.
constexpr int kGetOwnerUids = 17;

absl::Status CopyError(int error, const ProcDir& task, int number) {
  const std::string what = absl::StrCat("copying descriptor ", number, " of ", task.path());
  if (error == EMFILE || error == ENFILE) {
    return MakeFailure(Failure::kHost, absl::StatusCode::kResourceExhausted,
                       absl::StrCat(what,
                                    ": dumpctl may not have as many files open as the task "
                                    "has; raise its RLIMIT_NOFILE (ulimit -n)"));
  }
  if (error == EPERM) {
    return MakeFailure(Failure::kPermission, absl::StatusCode::kPermissionDenied,
                       absl::StrCat(what, " needs CAP_SYS_PTRACE over the task"));
  }
  return absl::ErrnoToStatus(error, what);
}

absl::StatusOr<FileOwner> ReadOwner(int copy) {
  FileOwner owner;
  f_owner_ex ex = {};
  if (fcntl(copy, F_GETOWN_EX, &ex) < 0) {
    if (errno == EBADF) return owner;  // O_PATH: nothing is ever sent
    return absl::ErrnoToStatus(errno, "F_GETOWN_EX");
  }
  owner.pid_type = ex.type;
  owner.pid = ex.pid;
  owner.signal = fcntl(copy, F_GETSIG);
  if (owner.pid == 0) return owner;
  uint32_t uids[2] = {};
  if (fcntl(copy, kGetOwnerUids, uids) < 0) return absl::ErrnoToStatus(errno, "F_GETOWNER_UIDS");
  owner.uid = uids[0];
  owner.euid = uids[1];
  if (owner.pid_type == F_OWNER_TID) owner.later_thread = IsLaterThread(owner.pid).value_or(false);
  return owner;
}

std::string InfoName(int number) { return absl::StrCat("fdinfo/", number); }
std::string LinkName(int number) { return absl::StrCat("fd/", number); }

// Whether fdinfo was read of the file that was stat-ed, as far as it tells: since Linux 5.14, and
// not of each file system (an overlay's numbers may be others than stat(2) says).
bool IsOfOneFile(const Descriptor& descriptor) {
  const absl::StatusOr<FdInfo> info = InfoOf(descriptor);
  return info.ok() && info->ino == descriptor.stat.st_ino;
}

bool CanRead(const Descriptor& descriptor) {
  const absl::StatusOr<FdInfo> info = InfoOf(descriptor);
  return info.ok() && (info->flags & O_ACCMODE) != O_WRONLY;
}

}  // namespace

bool MayBeTerminal(const struct stat& stat) {
  constexpr unsigned kMemoryMajor = 1;  // null, zero and their like
  return S_ISCHR(stat.st_mode) && major(stat.st_rdev) != kMemoryMajor;
}

int WaitingBytes(const Descriptor& descriptor) {
  if ((descriptor.stat.st_mode & S_IFMT) != 0) return 0;
  // The most frequent of those without.
  if (HasLine(descriptor.info_text, "eventfd-count:")) return 0;
  int bytes = 0;
  if (ioctl(descriptor.copy.get(), FIONREAD, &bytes) < 0) return 0;
  return bytes;
}

absl::Status ReadInfo(const ProcDir& task, int number, Descriptor& descriptor) {
  ASSIGN_OR_RETURN(descriptor.info_text, task.ReadWhole(InfoName(number)));
  descriptor.info.reset();
  return absl::OkStatus();
}

absl::Status AskCopy(const ProcDir& task, int number, Descriptor& descriptor) {
  constexpr int kTries = 3;
  for (int i = 0; i < kTries && IsUnwound(descriptor.info_text); ++i) {
    RETURN_IF_ERROR(Wind(BorrowedFd(descriptor.copy)));
    RETURN_IF_ERROR(ReadInfo(task, number, descriptor));
  }
  ASSIGN_OR_RETURN(descriptor.owner, ReadOwner(descriptor.copy.get()));
  descriptor.waiting = WaitingBytes(descriptor);
  return absl::OkStatus();
}

absl::StatusOr<Descriptor> ReadDescriptor(const ProcDir& task, int number, UniqueFd copy) {
  Descriptor descriptor{.number = number, .copy = std::move(copy)};
  if (fstat(descriptor.copy.get(), &descriptor.stat) < 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("fstat of descriptor ", number));
  }
  RETURN_IF_ERROR(ReadInfo(task, number, descriptor));
  RETURN_IF_ERROR(AskCopy(task, number, descriptor));
  return descriptor;
}

absl::Status StatOf(const ProcDir& task, int number, struct stat& stat) {
  if (fstatat(task.fd().get(), LinkName(number).c_str(), &stat, 0) == 0) return absl::OkStatus();
  return absl::ErrnoToStatus(errno, absl::StrCat(task.path(), "/", LinkName(number)));
}

bool NeedsCopy(const Descriptor& descriptor, bool is_first) {
  const struct stat& stat = descriptor.stat;
  const std::string_view link = *descriptor.link;
  // All of them matter, for one of /dev/tty belongs to the first of its holders.
  if (MayBeTerminal(stat)) return true;
  if (!is_first) return false;
  if (S_ISSOCK(stat.st_mode)) return FileKindOf(stat, link, 0) != FileKind::kUnixSocket;
  if (link.starts_with("pipe:")) return !descriptor.empty_pipe && CanRead(descriptor);
  return S_ISFIFO(stat.st_mode) || stat.st_nlink == 0 || link.ends_with(" (deleted)");
}

// What is read one by one of a running task may be of two files that had the number one after the
// other, and such a file there is none.
absl::StatusOr<Descriptor> PeekDescriptor(const ProcDir& task, const Glance& glance) {
  constexpr int kLooks = 10;
  struct stat before = glance.stat;
  for (int look = 1;; ++look) {
    Descriptor descriptor{.number = glance.number};
    RETURN_IF_ERROR(ReadInfo(task, glance.number, descriptor));
    ASSIGN_OR_RETURN(descriptor.link, DescriptorLink(task, glance.number));
    RETURN_IF_ERROR(StatOf(task, glance.number, descriptor.stat));
    const bool same =
        descriptor.stat.st_dev == before.st_dev && descriptor.stat.st_ino == before.st_ino;
    // The glance may be of long ago, and another file have had the number between.
    const bool near = look > 1 || IsOfOneFile(descriptor);
    if ((same && near) || look == kLooks) return descriptor;
    before = descriptor.stat;
  }
}

absl::StatusOr<Descriptor> PeekDescriptor(const ProcDir& task, int number) {
  Glance glance{.number = number};
  RETURN_IF_ERROR(StatOf(task, number, glance.stat));
  return PeekDescriptor(task, glance);
}

absl::StatusOr<UniqueFd> TakeCopy(const ProcDir& task, BorrowedFd pidfd, int number) {
  UniqueFd copy = CopyDescriptor(pidfd, number);
  if (!copy) return CopyError(errno, task, number);
  return copy;
}

UniqueFd CopyDescriptor(BorrowedFd pidfd, int number) {
  return UniqueFd(static_cast<int>(syscall(SYS_pidfd_getfd, pidfd.get(), number, 0)));
}

absl::StatusOr<std::string> DescriptorLink(const ProcDir& task, int number) {
  ASSIGN_OR_RETURN(std::string link, task.ReadLink(LinkName(number)));
  if (!link.starts_with("socket:")) return link;
  // The kernel names a socket's protocol in an attribute of its inode.
  char protocol[64];
  const std::string path = absl::StrCat(task.path(), "/", LinkName(number));
  const ssize_t size = getxattr(path.c_str(), "system.sockprotoname", protocol, sizeof protocol);
  if (size <= 1) return link;
  return absl::StrCat(link, " (", std::string(protocol, static_cast<size_t>(size - 1)), ")");
}

}  // namespace dumpctl
