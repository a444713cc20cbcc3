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
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "dump/fd/file_refusal.h"
#include "dump/fd/proc_file.h"
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
  if (owner.pid_type == F_OWNER_TID) owner.later_thread = IsLaterThread(owner.pid).value_or(false);
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
  // The most frequent of those without.
  if (descriptor.info_text.find("\neventfd-count:") != std::string::npos) return 0;
  int bytes = 0;
  if (ioctl(descriptor.copy.get(), FIONREAD, &bytes) < 0) return 0;
  return bytes;
}

// O_CLOEXEC belongs to the descriptor, not to the open file, so no copy tells it.
absl::Status ReadInfo(const ProcDir& task, int number, Descriptor& descriptor) {
  ASSIGN_OR_RETURN(descriptor.info_text, task.ReadWhole(InfoName(number)));
  return absl::OkStatus();
}

// What takes its copy. A timer of a short period may expire between the two.
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

// All but the watches. `number` is that of `copy` among the descriptors of `task`.
absl::StatusOr<Descriptor> ReadDescriptor(const ProcDir& task, int number, UniqueFd copy) {
  Descriptor descriptor{.number = number, .copy = std::move(copy)};
  if (fstat(descriptor.copy.get(), &descriptor.stat) < 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("fstat of descriptor ", number));
  }
  RETURN_IF_ERROR(ReadInfo(task, number, descriptor));
  RETURN_IF_ERROR(AskCopy(task, number, descriptor));
  return descriptor;
}

bool WatchesSomething(const Descriptor& descriptor) {
  if (descriptor.link && *descriptor.link != "anon_inode:[eventpoll]") return false;
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

bool CanRead(const Descriptor& descriptor) {
  const absl::StatusOr<FdInfo> info = ParseFdInfo(descriptor.info_text);
  return info.ok() && (info->flags & O_ACCMODE) != O_WRONLY;
}

// What is read later needs the file itself, but one copy of it is enough. Of a pipe no writing end
// is, and of a unix socket none: it is read at once (ReadSockets).
bool NeedsCopy(const Descriptor& descriptor, bool is_first) {
  const struct stat& stat = descriptor.stat;
  const std::string_view link = *descriptor.link;
  if (MayBeTerminal(stat)) return true;
  if (!is_first) return false;
  if (S_ISSOCK(stat.st_mode)) return FileKindOf(stat, link, 0) != FileKind::kUnixSocket;
  if (link.starts_with("pipe:")) return !descriptor.empty_pipe && CanRead(descriptor);
  return S_ISFIFO(stat.st_mode) || stat.st_nlink == 0 || link.ends_with(" (deleted)");
}

absl::Status Index(pid_t pid, Descriptor& descriptor, OpenFileIndex& index) {
  if (index.by_bpf() != nullptr) return absl::OkStatus();
  ASSIGN_OR_RETURN(const FdInfo info, ParseFdInfo(descriptor.info_text));
  ASSIGN_OR_RETURN(descriptor.open_file,
                   index.NumberOf(pid, descriptor.number, LikenessOf(descriptor.stat, info)));
  return absl::OkStatus();
}

// The link is read in `task`, where its number is.
absl::Status GiveUpCopy(const ProcDir& task, bool is_first, Descriptor& descriptor) {
  ASSIGN_OR_RETURN(descriptor.link, DescriptorLink(task, descriptor.number));
  if (!NeedsCopy(descriptor, is_first)) descriptor.copy.Reset();
  return absl::OkStatus();
}

// Following the link stats the very file, wherever its path leads by now.
absl::Status StatOf(const ProcDir& task, int number, struct stat& stat) {
  if (fstatat(task.fd().get(), LinkName(number).c_str(), &stat, 0) == 0) return absl::OkStatus();
  return absl::ErrnoToStatus(errno, absl::StrCat(task.path(), "/", LinkName(number)));
}

// Whether the path leads to the inode that is kept so, which tells its stat sooner than procfs
// does. Not asked of what follows other rules: devices, and the files of procfs.
bool StatByName(const std::string& path, const struct stat& kept, struct stat& stat) {
  if (!path.starts_with('/') || path.ends_with(" (deleted)")) return false;
  if (!S_ISREG(kept.st_mode) && !S_ISDIR(kept.st_mode)) return false;
  struct stat there = {};
  if (fstatat(AT_FDCWD, path.c_str(), &there, AT_SYMLINK_NOFOLLOW) < 0 ||
      there.st_dev != kept.st_dev || there.st_ino != kept.st_ino || ProcFileAt(there, path)) {
    return false;
  }
  stat = there;
  return true;
}

// Stat and link, where the row does not have them.
absl::Status Identify(const ProcDir& task, OpenFileRow& row, Descriptor& descriptor) {
  descriptor.link = std::move(row.link);
  if (!descriptor.link) {
    ASSIGN_OR_RETURN(descriptor.link, DescriptorLink(task, row.number));
  }
  descriptor.empty_pipe = row.empty_pipe;
  if (row.stat) {
    descriptor.stat = *row.stat;
    return absl::OkStatus();
  }
  descriptor.named = StatByName(*descriptor.link, row.kept, descriptor.stat);
  return descriptor.named ? absl::OkStatus() : StatOf(task, row.number, descriptor.stat);
}

// Whether stat(2) says what the kernel keeps, so that it says so again as long as that is the same.
bool SaysWhatIsKept(const struct stat& stat, const struct stat& kept) {
  return stat.st_dev == kept.st_dev && stat.st_ino == kept.st_ino && stat.st_mode == kept.st_mode &&
         stat.st_nlink == kept.st_nlink && stat.st_uid == kept.st_uid &&
         stat.st_gid == kept.st_gid && stat.st_size == kept.st_size &&
         stat.st_blocks == kept.st_blocks;
}

// Whether there is more to be asked for than text.
bool TakesCopy(const OpenFileRow& row, const Descriptor& descriptor) {
  const FileKind kind = FileKindOf(descriptor.stat, *descriptor.link, 0);
  return row.may_be_owned || IsUnwound(descriptor.info_text) || kind == FileKind::kInotify ||
         kind == FileKind::kFanotify;
}

// Copies, of a frozen task, what has to be asked or kept by a copy.
absl::Status Copy(const ProcDir& task, BorrowedFd pidfd, bool asks, bool is_first,
                  Descriptor& descriptor) {
  const bool keeps = NeedsCopy(descriptor, is_first);
  if (!asks && !keeps) return absl::OkStatus();
  ASSIGN_OR_RETURN(descriptor.copy, TakeCopy(task, pidfd, descriptor.number));
  if (asks) RETURN_IF_ERROR(AskCopy(task, descriptor.number, descriptor));
  if (!keeps) descriptor.copy.Reset();
  return absl::OkStatus();
}

// Of a frozen task; what the row does not have is read as ReadDescriptor reads it.
absl::StatusOr<Descriptor> ReadRow(const ProcDir& task, BorrowedFd pidfd, OpenFileRow row,
                                   bool is_first) {
  Descriptor descriptor{.number = row.number};
  RETURN_IF_ERROR(Identify(task, row, descriptor));
  if (row.info_text) {
    descriptor.info_text = *std::move(row.info_text);
  } else {
    RETURN_IF_ERROR(ReadInfo(task, row.number, descriptor));
  }
  RETURN_IF_ERROR(Copy(task, pidfd, TakesCopy(row, descriptor), is_first, descriptor));
  return descriptor;
}

// What was peeked at, ascending, as it is looked for, ascending likewise.
class Peeked {
 public:
  explicit Peeked(std::vector<Descriptor> descriptors) : descriptors_(std::move(descriptors)) {}

  // That with the same record, to be moved from; null where there is none.
  Descriptor* Find(int number, std::string_view record) {
    while (next_ < descriptors_.size() && descriptors_[next_].number < number) ++next_;
    if (next_ == descriptors_.size() || descriptors_[next_].number != number) return nullptr;
    return descriptors_[next_].record == record ? &descriptors_[next_] : nullptr;
  }

  size_t size() const { return descriptors_.size(); }

 private:
  std::vector<Descriptor> descriptors_;
  size_t next_ = 0;
};

absl::StatusOr<std::vector<Descriptor>> ReadRows(const ProcDir& task, pid_t pid, BorrowedFd pidfd,
                                                 OpenFileIndex& index, Peeked peeked) {
  std::vector<Descriptor> descriptors;
  descriptors.reserve(peeked.size());
  const auto take = [&](const KernelFile& file, std::string_view lasting,
                        absl::Duration tai_offset) -> absl::Status {
    const uint32_t known = index.size();
    const uint32_t open_file = index.NumberOf(file.address);
    const bool is_first = open_file > known;
    Descriptor& descriptor = descriptors.emplace_back();
    if (Descriptor* const before = peeked.Find(static_cast<int>(file.number), lasting)) {
      descriptor = std::move(*before);
      RETURN_IF_ERROR(Copy(task, pidfd, false, is_first, descriptor));
    } else {
      ASSIGN_OR_RETURN(descriptor, ReadRow(task, pidfd, RowOf(file, tai_offset), is_first));
    }
    descriptor.open_file = open_file;
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(index.by_bpf()->Read(pid, take));
  return descriptors;
}

std::vector<int> NumbersOf(const std::vector<Descriptor>& descriptors) {
  std::vector<int> numbers;
  for (const Descriptor& descriptor : descriptors) numbers.push_back(descriptor.number);
  return numbers;
}

// NotFound where it is closed by now.
absl::StatusOr<Descriptor> PeekDescriptor(const ProcDir& task, int number) {
  Descriptor descriptor{.number = number};
  RETURN_IF_ERROR(StatOf(task, number, descriptor.stat));
  RETURN_IF_ERROR(ReadInfo(task, number, descriptor));
  ASSIGN_OR_RETURN(descriptor.link, DescriptorLink(task, number));
  return descriptor;
}

absl::Status AddUnlessGone(absl::StatusOr<Descriptor> descriptor,
                           std::vector<Descriptor>& descriptors) {
  if (absl::IsNotFound(descriptor.status())) return absl::OkStatus();
  RETURN_IF_ERROR(descriptor.status());
  descriptors.push_back(*std::move(descriptor));
  return absl::OkStatus();
}

absl::StatusOr<Descriptor> PeekRow(const ProcDir& task, OpenFileRow row) {
  if (!row.info_text) return PeekDescriptor(task, row.number);
  Descriptor descriptor{.number = row.number};
  RETURN_IF_ERROR(Identify(task, row, descriptor));
  // It may be another file by now.
  if (descriptor.stat.st_ino != row.inode) return PeekDescriptor(task, row.number);
  descriptor.info_text = *std::move(row.info_text);
  const bool says_all =
      row.says_all && (row.stat || (descriptor.named && SaysWhatIsKept(descriptor.stat, row.kept)));
  if (says_all) descriptor.record = std::move(row.record);
  return descriptor;
}

}  // namespace

absl::StatusOr<size_t> CountDescriptors(const ProcDir& task) {
  ASSIGN_OR_RETURN(const std::vector<int> numbers, ListNumbers(task, "fd"));
  return numbers.size();
}

size_t QuickCountOfDescriptors(const ProcDir& task) {
  struct stat stat = {};
  if (fstatat(task.fd().get(), "fd", &stat, 0) < 0) return 0;
  return static_cast<size_t>(stat.st_size);
}

absl::StatusOr<std::vector<Descriptor>> ReadDescriptors(const ProcDir& task, pid_t pid,
                                                        BorrowedFd pidfd, OpenFileIndex* index,
                                                        std::vector<Descriptor> peeked) {
  if (index != nullptr && index->by_bpf() != nullptr) {
    ASSIGN_OR_RETURN(std::vector<Descriptor> descriptors,
                     ReadRows(task, pid, pidfd, *index, Peeked(std::move(peeked))));
    RETURN_IF_ERROR(ReadWatches(pid, NumbersOf(descriptors), descriptors));
    return descriptors;
  }
  ASSIGN_OR_RETURN(const std::vector<int> numbers, ListDescriptors(task));
  std::vector<Descriptor> descriptors;
  descriptors.reserve(numbers.size());
  for (const int number : numbers) {
    ASSIGN_OR_RETURN(UniqueFd copy, TakeCopy(task, pidfd, number));
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
    RETURN_IF_ERROR(AddUnlessGone(PeekDescriptor(task, number), descriptors));
  }
  return descriptors;
}

absl::StatusOr<std::vector<Descriptor>> PeekDescriptors(const ProcDir& task, pid_t pid,
                                                        const BpfOpenFiles& by_bpf, size_t count) {
  std::vector<Descriptor> descriptors;
  descriptors.reserve(count);
  const absl::Status told = by_bpf.Read(
      pid, [&](const KernelFile& file, std::string_view lasting, absl::Duration tai_offset) {
        OpenFileRow row = RowOf(file, tai_offset);
        if (row.says_all) row.record = std::string(lasting);
        return AddUnlessGone(PeekRow(task, std::move(row)), descriptors);
      });
  // Procfs knows them as well.
  if (!told.ok()) return PeekDescriptors(task);
  return descriptors;
}

absl::Status NumberCopies(OpenFileIndex& index, std::vector<Descriptor>& copies) {
  if (index.by_bpf() == nullptr || copies.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::vector<OpenFileRow> rows, index.by_bpf()->Read(getpid()));
  for (Descriptor& copy : copies) {
    const auto row =
        std::lower_bound(rows.begin(), rows.end(), copy.copy.get(),
                         [](const OpenFileRow& each, int number) { return each.number < number; });
    if (row == rows.end() || row->number != copy.copy.get()) {
      return absl::InternalError("a BPF program does not tell of our own descriptors");
    }
    copy.open_file = index.NumberOf(row->open_file);
  }
  return absl::OkStatus();
}

absl::StatusOr<UniqueFd> TakeCopy(const ProcDir& task, BorrowedFd pidfd, int number) {
  UniqueFd copy = CopyDescriptor(pidfd, number);
  if (!copy) return CopyError(errno, task, number);
  return copy;
}

bool IsKept(const Descriptor& descriptor) { return NeedsCopy(descriptor, true); }

UniqueFd CopyDescriptor(BorrowedFd pidfd, int number) {
  return UniqueFd(static_cast<int>(syscall(SYS_pidfd_getfd, pidfd.get(), number, 0)));
}

namespace {

bool HasEventQueue(const Descriptor& descriptor) {
  const FileKind kind = FileKindOf(descriptor.stat, descriptor.link.value(), 0);
  return kind == FileKind::kInotify || kind == FileKind::kFanotify;
}

}  // namespace

bool HasEventQueues(std::span<const Descriptor> descriptors) {
  return std::any_of(descriptors.begin(), descriptors.end(), HasEventQueue);
}

void PeekUnreadEvents(BorrowedFd pidfd, std::vector<Descriptor>& descriptors) {
  constexpr int kLooks = 10;
  for (Descriptor& descriptor : descriptors) {
    if (!HasEventQueue(descriptor)) continue;
    // Who has closed it meanwhile has nothing unread.
    descriptor.copy = CopyDescriptor(pidfd, descriptor.number);
    if (!descriptor.copy) continue;
    for (int i = 0; i < kLooks; ++i) {
      descriptor.waiting = WaitingBytes(descriptor);
      if (descriptor.waiting == 0) break;
      absl::SleepFor(absl::Milliseconds(1));
    }
    descriptor.copy.Reset();
  }
}

absl::Status SettleCopies(const ProcDir& self, bool with_dupfd_query,
                          std::span<std::vector<Descriptor>* const> tables) {
  OpenFileIndex index(with_dupfd_query);
  for (std::vector<Descriptor>* const table : tables) {
    for (Descriptor& descriptor : *table) {
      if (!descriptor.copy) continue;
      const int copy = descriptor.copy_number = descriptor.copy.get();
      if (!descriptor.link) {
        ASSIGN_OR_RETURN(descriptor.link, DescriptorLink(self, copy));
      }
      if (descriptor.open_file != 0) continue;
      ASSIGN_OR_RETURN(const FdInfo info, ParseFdInfo(descriptor.info_text));
      ASSIGN_OR_RETURN(descriptor.open_file,
                       index.NumberOf(getpid(), copy, LikenessOf(descriptor.stat, info)));
    }
  }
  for (std::vector<Descriptor>* const table : tables) {
    for (Descriptor& descriptor : *table) descriptor.copy.Reset();
  }
  return absl::OkStatus();
}

absl::Status ReadNamedLinks(const ProcDir& self, std::vector<Descriptor>& descriptors) {
  for (Descriptor& descriptor : descriptors) {
    if (descriptor.link || !descriptor.copy) continue;
    ASSIGN_OR_RETURN(std::string link, self.ReadLink(LinkName(descriptor.copy.get())));
    if (link.starts_with('/')) descriptor.link = std::move(link);
  }
  return absl::OkStatus();
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
