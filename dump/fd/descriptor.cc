#include "dump/fd/descriptor.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "dump/fd/timerfd_file.h"
#include "dumpctl/failure.h"
#include "dumpctl/status_macros.h"
#include "proc/fdinfo_parser.h"

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
  return owner;
}

std::string InfoName(int number) { return absl::StrCat("fdinfo/", number); }
std::string LinkName(int number) { return absl::StrCat("fd/", number); }

absl::StatusOr<std::vector<int>> ListDescriptors(const ProcDir& task) {
  ASSIGN_OR_RETURN(std::vector<int> numbers, ListNumbers(task, "fd"));
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

// Of events. Kernel objects have no type of file; those without events do not know the call.
int WaitingBytes(const Descriptor& descriptor) {
  if ((descriptor.stat.st_mode & S_IFMT) != 0) return 0;
  int bytes = 0;
  if (ioctl(descriptor.copy.get(), FIONREAD, &bytes) < 0) return 0;
  return bytes;
}

// All but the watches. `number` is that of `copy` among the descriptors of `task`.
absl::StatusOr<Descriptor> ReadDescriptor(const ProcDir& task, int number, UniqueFd copy) {
  Descriptor descriptor{.number = number, .copy = std::move(copy)};
  if (fstat(descriptor.copy.get(), &descriptor.stat) < 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("fstat of descriptor ", number));
  }
  // O_CLOEXEC belongs to the descriptor, not to the open file, so only procfs tells it.
  ASSIGN_OR_RETURN(descriptor.info_text, task.ReadWhole(InfoName(number)));
  // A timer of a short period may expire between the two.
  constexpr int kTries = 3;
  for (int i = 0; i < kTries && IsUnwound(descriptor.info_text); ++i) {
    RETURN_IF_ERROR(Wind(BorrowedFd(descriptor.copy)));
    ASSIGN_OR_RETURN(descriptor.info_text, task.ReadWhole(InfoName(number)));
  }
  ASSIGN_OR_RETURN(descriptor.owner, ReadOwner(descriptor.copy.get()));
  descriptor.waiting = WaitingBytes(descriptor);
  return descriptor;
}

bool WatchesSomething(const Descriptor& descriptor) {
  return descriptor.info_text.find("\ntfd:") != std::string::npos;
}

absl::Status ReadWatches(pid_t pid, const std::vector<int>& numbers,
                         std::vector<Descriptor>& descriptors) {
  for (Descriptor& descriptor : descriptors) {
    if (!WatchesSomething(descriptor)) continue;
    ASSIGN_OR_RETURN(descriptor.watches,
                     ReadEpollWatches(pid, descriptor.number, descriptor.info_text, numbers));
  }
  return absl::OkStatus();
}

// Of terminals all descriptors matter, for one of /dev/tty belongs to the first of its holders.
bool MayBeTerminal(const struct stat& stat) {
  constexpr unsigned kMemoryMajor = 1;  // null, zero and their like
  return S_ISCHR(stat.st_mode) && major(stat.st_rdev) != kMemoryMajor;
}

// What is read later needs the file itself, but one copy of it is enough.
bool NeedsCopy(const Descriptor& descriptor, std::string_view link, bool is_first) {
  const mode_t mode = descriptor.stat.st_mode;
  if (MayBeTerminal(descriptor.stat)) return true;
  const bool needed = S_ISSOCK(mode) || S_ISFIFO(mode) || descriptor.stat.st_nlink == 0 ||
                      link.ends_with(" (deleted)");
  return needed && is_first;
}

absl::Status Index(pid_t pid, Descriptor& descriptor, OpenFileIndex& index) {
  ASSIGN_OR_RETURN(const FdInfo info, ParseFdInfo(descriptor.info_text));
  ASSIGN_OR_RETURN(descriptor.open_file,
                   index.NumberOf(pid, descriptor.number, LikenessOf(descriptor.stat, info)));
  return absl::OkStatus();
}

// The link is read in `task`, where its number is.
absl::Status GiveUpCopy(const ProcDir& task, bool is_first, Descriptor& descriptor) {
  ASSIGN_OR_RETURN(std::string link, DescriptorLink(task, descriptor.number));
  if (NeedsCopy(descriptor, link, is_first)) return absl::OkStatus();
  descriptor.link = std::move(link);
  descriptor.copy.Reset();
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<size_t> CountDescriptors(const ProcDir& task) {
  ASSIGN_OR_RETURN(const std::vector<int> numbers, ListNumbers(task, "fd"));
  return numbers.size();
}

absl::StatusOr<std::vector<Descriptor>> ReadDescriptors(const ProcDir& task, pid_t pid,
                                                        BorrowedFd pidfd, OpenFileIndex* index) {
  ASSIGN_OR_RETURN(const std::vector<int> numbers, ListDescriptors(task));
  std::vector<Descriptor> descriptors;
  descriptors.reserve(numbers.size());
  for (const int number : numbers) {
    UniqueFd copy(static_cast<int>(syscall(SYS_pidfd_getfd, pidfd.get(), number, 0)));
    if (!copy) return CopyError(errno, task, number);
    ASSIGN_OR_RETURN(Descriptor descriptor, ReadDescriptor(task, number, std::move(copy)));
    if (index != nullptr) {
      const uint32_t known = index->size();
      RETURN_IF_ERROR(Index(pid, descriptor, *index));
      RETURN_IF_ERROR(GiveUpCopy(task, descriptor.open_file > known, descriptor));
    }
    descriptors.push_back(std::move(descriptor));
  }
  RETURN_IF_ERROR(ReadWatches(pid, numbers, descriptors));
  return descriptors;
}

absl::StatusOr<std::vector<Descriptor>> DescribeCopies(std::vector<UniqueFd> copies,
                                                       OpenFileIndex* index) {
  std::vector<Descriptor> descriptors;
  if (copies.empty()) return descriptors;
  ASSIGN_OR_RETURN(const ProcDir self, ProcDir::OpenTask(getpid()));
  for (UniqueFd& copy : copies) {
    const int number = copy.get();
    ASSIGN_OR_RETURN(Descriptor descriptor, ReadDescriptor(self, number, std::move(copy)));
    if (index != nullptr) RETURN_IF_ERROR(Index(getpid(), descriptor, *index));
    // What it watches has no numbers here.
    if (WatchesSomething(descriptor)) {
      ASSIGN_OR_RETURN(descriptor.watches,
                       ReadEpollWatches(getpid(), number, descriptor.info_text, {}));
    }
    descriptor.number = kInQueue;
    descriptors.push_back(std::move(descriptor));
  }
  return descriptors;
}

absl::StatusOr<std::vector<Descriptor>> PeekDescriptors(const ProcDir& task) {
  ASSIGN_OR_RETURN(const std::vector<int> numbers, ListDescriptors(task));
  std::vector<Descriptor> descriptors;
  descriptors.reserve(numbers.size());
  for (const int number : numbers) {
    Descriptor descriptor{.number = number};
    absl::StatusOr<std::string> info = task.ReadWhole(InfoName(number));
    if (absl::IsNotFound(info.status())) continue;
    RETURN_IF_ERROR(info.status());
    descriptor.info_text = *std::move(info);
    // Following the link stats the very file, wherever its path leads by now.
    if (fstatat(task.fd().get(), LinkName(number).c_str(), &descriptor.stat, 0) < 0) {
      if (errno == ENOENT) continue;
      return absl::ErrnoToStatus(errno, absl::StrCat(task.path(), "/", LinkName(number)));
    }
    absl::StatusOr<std::string> link = DescriptorLink(task, number);
    if (absl::IsNotFound(link.status())) continue;
    RETURN_IF_ERROR(link.status());
    descriptor.link = *std::move(link);
    descriptors.push_back(std::move(descriptor));
  }
  return descriptors;
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
