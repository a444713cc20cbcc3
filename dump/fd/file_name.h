#ifndef DUMP_FD_FILE_NAME_H_
#define DUMP_FD_FILE_NAME_H_

#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dump/fd/proc_file.h"
#include "dumpctl/resource_refusal.h"

namespace dumpctl {

// The name under which a task has a file open, mapped, or as its working directory.
struct FileName {
  std::string path;
  // The name is gone; another file may have it by now. The file may have other names (st_nlink).
  bool deleted = false;
  // A file of procfs. Of a task that is dead, the path tells where it was.
  std::optional<ProcFile> proc;

  // This name of it is gone, and others are there, which no file system tells.
  bool linked(const struct stat& stat) const { return deleted && !proc && stat.st_nlink != 0; }
  // Nothing names it any more: a restore can have it from the images alone.
  bool ghost(const struct stat& stat) const { return deleted && !proc && stat.st_nlink == 0; }
};

// Whether that very file is there now; a symbolic link is not followed.
bool LeadsTo(const std::string& path, const struct stat& stat);

// What of a file's size takes room, holes left out.
uint64_t DataBytes(const struct stat& stat);

// A file that a restore is given (--external, and --inherit-fd then).
struct ExternalFile {
  uint64_t mount_id = 0;  // as fdinfo tells it
  ino_t inode = 0;

  // "file[2a:a744af]": by that it is called in images, too.
  std::string Name() const;
  friend bool operator==(const ExternalFile&, const ExternalFile&) = default;
};
std::optional<ExternalFile> ParseExternalFile(std::string_view text);

class NamesSeen;

// What is to be saved of files.
struct FileRules {
  uint64_t ghost_limit = 1 << 20;  // bytes of one that take room on its disk
  bool locks = false;              // --file-locks
  bool link_remap = false;         // --link-remap
  bool leave_running = false;
  std::vector<ExternalFile> external;
  dev_t kernel_tmpfs = 0;  // KernelTmpfsDevice: what is there never had a name
  // What the functions below have been told already; null where they ask each time.
  std::shared_ptr<NamesSeen> seen;
};

// From what readlink(2) says of an open file: the kernel writes " (deleted)" behind a name that is
// gone, but a living file may be called so. Asks the file system.
FileName ReadName(const struct stat& stat, const std::string& link, const FileRules& rules);

// The same of a mapping, whose path is told apart from whether it is deleted already.
FileName ReadMappedName(const struct stat& stat, const std::string& path, bool deleted,
                        const FileRules& rules);

// What the file system says of a name, and the rules then.
struct NameVerdict {
  std::optional<WhyNotText> why_not;
  uint64_t led_to = 0;  // where the name leads elsewhere: the mount in which; 0 where not known
};
NameVerdict JudgeName(const struct stat& stat, const FileName& name, const FileRules& rules);

// Why a file cannot be dumped by its name, or as a ghost; nothing when it can. `mount_id` as fdinfo
// tells it, 0 where it is not known. Asks the file system.
std::optional<WhyNotText> WhyNotNamed(const struct stat& stat, const FileName& name,
                                      uint64_t mount_id, const FileRules& rules);

// The file as one that a restore is given, if it was said to be one.
std::optional<ExternalFile> ExternalAmong(const FileRules& rules, const struct stat& stat,
                                          uint64_t mount_id);

}  // namespace dumpctl

#endif  // DUMP_FD_FILE_NAME_H_
