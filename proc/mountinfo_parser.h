#ifndef PROC_MOUNTINFO_PARSER_H_
#define PROC_MOUNTINFO_PARSER_H_

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace dumpctl {

// One line of /proc/PID/mountinfo (proc_pid_mountinfo(5)).
struct Mount {
  int id = 0;
  int parent = 0;           // may name a mount that the text does not hold, or this one
  dev_t dev = 0;            // of the superblock: btrfs and overlayfs show other numbers in st_dev
  std::string root;         // "/", a bind's directory, "net:[4026531833]"; "//deleted" at its end
                            // when that directory is gone
  std::string mount_point;  // relative to the task's root
  std::string options;      // of the mount, comma separated: "rw,nosuid,relatime"
  std::vector<std::string> optional_fields;  // "shared:1", "master:7", "propagate_from:2", ...
  std::string fs_type;                       // "ext4", "fuse.sshfs"
  std::string source;                        // may be empty, "none" or anything else
  std::string super_options;                 // of the superblock, comma separated, escapes kept

  friend bool operator==(const Mount&, const Mount&) = default;
};

// In the order of the text. The kernel writes blanks, tabs, newlines and backslashes (in names that
// user space gave, '#' too) as octal escapes; they are undone in root, mount_point, fs_type and
// source. In super_options they stay, because a comma within a value is one of them (\054): split
// first, then undo.
//
// Errors: DataLoss, naming the field and quoting its line.
absl::StatusOr<std::vector<Mount>> ParseMountinfo(std::string_view text);

// Undoes octal escapes ("\040" is a blank). A backslash before anything else stays as it is.
std::string UndoOctalEscapes(std::string_view text);

}  // namespace dumpctl

#endif  // PROC_MOUNTINFO_PARSER_H_
