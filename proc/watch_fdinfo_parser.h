#ifndef PROC_WATCH_FDINFO_PARSER_H_
#define PROC_WATCH_FDINFO_PARSER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace dumpctl {

// What /proc/PID/fdinfo/N says of an inotify(7) or a fanotify(7) below the head that every kind
// has (proc_pid_fdinfo(5)). Each parser takes the whole text. Errors: DataLoss, naming the field
// and quoting its line.

// A file as its file system numbers it (name_to_handle_at(2)).
struct FileHandle {
  int type = 0;
  std::string bytes;  // at most 128

  friend bool operator==(const FileHandle&, const FileHandle&) = default;
};

// An inode that is watched.
struct WatchedInode {
  uint64_t inode = 0;
  uint32_t device = 0;  // of its file system, as the kernel has it inside: 20 bits of minor
  // None where the file system cannot number its files.
  std::optional<FileHandle> handle;

  friend bool operator==(const WatchedInode&, const WatchedInode&) = default;
};

// An "inotify wd:" line.
struct InotifyWatch {
  int number = 0;  // the watch descriptor
  WatchedInode file;
  uint32_t mask = 0;  // IN_...

  friend bool operator==(const InotifyWatch&, const InotifyWatch&) = default;
};
// In the kernel's order: the latest first.
absl::StatusOr<std::vector<InotifyWatch>> ParseInotifyInfo(std::string_view text);

// A "fanotify ino:", "fanotify mnt_id:" or "fanotify sdev:" line.
struct FanotifyMark {
  enum class Kind { kInode, kMount, kFileSystem };
  Kind kind = Kind::kInode;
  WatchedInode file;     // of a file system, its device alone
  int mount_id = 0;      // of a mount, as mountinfo has it
  uint32_t flags = 0;    // FAN_MARK_..., as far as they change what it tells
  uint32_t mask = 0;     // FAN_...
  uint32_t ignored = 0;  // FAN_...

  friend bool operator==(const FanotifyMark&, const FanotifyMark&) = default;
};
struct FanotifyInfo {
  uint32_t flags = 0;        // of fanotify_init(2)
  uint32_t event_flags = 0;  // of the files that it opens
  std::vector<FanotifyMark> marks;
};
absl::StatusOr<FanotifyInfo> ParseFanotifyInfo(std::string_view text);

}  // namespace dumpctl

#endif  // PROC_WATCH_FDINFO_PARSER_H_
