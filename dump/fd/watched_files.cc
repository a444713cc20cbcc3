#include "dump/fd/watched_files.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "dumpctl/beside.h"
#include "dumpctl/failure.h"
#include "dumpctl/status_macros.h"
#include "dumpctl/unique_fd.h"
#include "proc/proc_fs.h"

namespace dumpctl {
namespace {

constexpr WhyNot kDeleted = {"it watches a file that is deleted, which no restore can",
                             "let the program give up that watch"};
constexpr WhyNot kNameless = {
    "the kernel does not tell the name of a file that it watches",
    "let somebody look at that file by its name (stat), which makes the kernel know it"};
constexpr WhyNot kLink = {
    "it watches a symbolic link, and a restore would watch what that leads to",
    "let the program give up that watch"};
constexpr WhyNot kNoRight = {"finding what it watches needs CAP_DAC_READ_SEARCH",
                             "run dumpctl with that capability"};

constexpr size_t kWords = 16;  // of 8 bytes, that an image has for a handle

bool AreSame(const struct stat& one, const struct stat& other) {
  return one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

// What a handle of a file system that is mounted there refers to (O_PATH), or the error. A file
// system is named by a descriptor, or by the working directory; but who opens a descriptor is
// noticed by those who watch the mount point. So a thread goes there.
struct Opened {
  UniqueFd file;
  int error = 0;
};
Opened OpenHandle(const Mount& mount, const FileHandle& handle) {
  Opened opened;
  const bool ran = RunApart([&] {
    struct statx there = {};
    if (unshare(CLONE_FS) < 0 || chdir(mount.mount_point.c_str()) < 0 ||
        statx(AT_FDCWD, ".", 0, STATX_MNT_ID, &there) < 0) {
      opened.error = errno;
      return;
    }
    // Another mount may lie over it.
    if (there.stx_mnt_id != static_cast<uint64_t>(mount.id)) {
      opened.error = ESTALE;
      return;
    }
    alignas(file_handle) char room[sizeof(file_handle) + MAX_HANDLE_SZ] = {};
    file_handle& wanted = *reinterpret_cast<file_handle*>(room);
    wanted.handle_bytes = static_cast<unsigned>(handle.bytes.size());
    wanted.handle_type = handle.type;
    memcpy(wanted.f_handle, handle.bytes.data(), handle.bytes.size());
    opened.file.Reset(open_by_handle_at(AT_FDCWD, &wanted, O_PATH | O_CLOEXEC));
    opened.error = opened.file ? 0 : errno;
  });
  if (!ran) opened.error = EAGAIN;
  return opened;
}

// The name that the kernel has for an open file, if it leads there.
absl::StatusOr<std::optional<WatchedFiles::Found>> NameOf(const UniqueFd& file, uint64_t inode) {
  WatchedFiles::Name name;
  if (fstat(file.get(), &name.stat) < 0) return absl::ErrnoToStatus(errno, "fstat");
  if (name.stat.st_ino != inode) return std::nullopt;
  if (name.stat.st_nlink == 0) return kDeleted;
  if (S_ISLNK(name.stat.st_mode)) return kLink;
  ASSIGN_OR_RETURN(const ProcDir self, ProcDir::OpenOwn());
  ASSIGN_OR_RETURN(name.path, self.ReadLink(absl::StrCat("fd/", file.get())));
  struct stat there = {};
  if (!name.path.starts_with('/') ||
      fstatat(AT_FDCWD, name.path.c_str(), &there, AT_SYMLINK_NOFOLLOW) < 0 ||
      !AreSame(there, name.stat)) {
    return std::nullopt;
  }
  return name;
}

// The mount point, if it is the very file.
std::optional<WatchedFiles::Found> RootOf(const Mount& mount, uint64_t inode) {
  WatchedFiles::Name name{.stat = {}, .path = mount.mount_point};
  struct statx there = {};
  if (statx(AT_FDCWD, name.path.c_str(), AT_SYMLINK_NOFOLLOW, STATX_MNT_ID, &there) < 0 ||
      there.stx_mnt_id != static_cast<uint64_t>(mount.id) || there.stx_ino != inode ||
      fstatat(AT_FDCWD, name.path.c_str(), &name.stat, AT_SYMLINK_NOFOLLOW) < 0) {
    return std::nullopt;
  }
  return name;
}

}  // namespace

uint32_t KernelDevice(dev_t device) { return major(device) << 20 | minor(device); }

image::fh_entry HandleEntry(const WatchedInode& file, const std::string& path) {
  const FileHandle handle = file.handle.value_or(FileHandle());
  image::fh_entry entry;
  entry.set_bytes(static_cast<uint32_t>(handle.bytes.size()));
  entry.set_type(static_cast<uint32_t>(handle.type));
  uint64_t words[kWords] = {};
  memcpy(words, handle.bytes.data(), std::min(sizeof(words), handle.bytes.size()));
  for (const uint64_t word : words) entry.add_handle(word);
  entry.set_path(path);
  return entry;
}

absl::Status WatchedFiles::ReadMounts() {
  if (mounts_) return absl::OkStatus();
  ASSIGN_OR_RETURN(const ProcDir self, ProcDir::OpenOwn());
  ASSIGN_OR_RETURN(const std::string text, self.Read("mountinfo"));
  ASSIGN_OR_RETURN(mounts_, ParseMountinfo(text));
  // Those that show the whole of a file system first: in them everything has a name.
  std::stable_partition(mounts_->begin(), mounts_->end(),
                        [](const Mount& mount) { return mount.root == "/"; });
  return absl::OkStatus();
}

absl::StatusOr<std::optional<Mount>> WatchedFiles::FindMount(int id) {
  RETURN_IF_ERROR(ReadMounts());
  for (const Mount& mount : *mounts_) {
    if (mount.id == id) return mount;
  }
  return std::nullopt;
}

absl::StatusOr<WatchedFiles::Found> WatchedFiles::Find(const WatchedInode& file) {
  const std::pair key(file.device, file.inode);
  const auto known = found_.find(key);
  if (known != found_.end()) return known->second;
  RETURN_IF_ERROR(ReadMounts());
  ASSIGN_OR_RETURN(Found found, Search(file));
  return found_.emplace(key, std::move(found)).first->second;
}

absl::StatusOr<WatchedFiles::Found> WatchedFiles::Search(const WatchedInode& file) const {
  for (const Mount& mount : *mounts_) {
    if (KernelDevice(mount.dev) != file.device) continue;
    // Some file systems number files for watches alone, and find none by their numbers.
    if (std::optional<Found> root = RootOf(mount, file.inode)) return *std::move(root);
    if (!file.handle) continue;
    const Opened opened = OpenHandle(mount, *file.handle);
    if (opened.error == EPERM) return kNoRight;
    if (opened.error == EAGAIN) {
      return MakeFailure(Failure::kHost, absl::StatusCode::kResourceExhausted,
                         "looking for a watched file takes dumpctl a thread, and it can have none; "
                         "raise pids.max of its cgroup, or its RLIMIT_NPROC (ulimit -u)");
    }
    if (!opened.file) continue;
    ASSIGN_OR_RETURN(const std::optional<Found> found, NameOf(opened.file, file.inode));
    if (found) return *found;
  }
  return kNameless;
}

}  // namespace dumpctl
