#include "dump/fd/untouched_files.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <optional>
#include <string>
#include <variant>

#include "dump/fd/file_locks.h"
#include "dumpctl/status_macros.h"
#include "proc/text_fields.h"

namespace dumpctl {
namespace {

void Add(const struct stat& stat, UntouchedFiles& files) {
  files.files.insert({stat.st_dev, stat.st_ino});
}

absl::Status Leave(const WatchedInode& file, WatchedFiles& watched, UntouchedFiles& files) {
  ASSIGN_OR_RETURN(const WatchedFiles::Found found, watched.Find(file));
  if (const auto* name = std::get_if<WatchedFiles::Name>(&found)) Add(name->stat, files);
  return absl::OkStatus();
}

absl::Status LeaveMarked(const FanotifyInfo& info, WatchedFiles& watched, UntouchedFiles& files) {
  for (const FanotifyMark& mark : info.marks) {
    if (mark.kind == FanotifyMark::Kind::kInode) {
      RETURN_IF_ERROR(Leave(mark.file, watched, files));
      continue;
    }
    ASSIGN_OR_RETURN(const std::optional<Mount> mount, watched.FindMount(mark.mount_id));
    struct stat stat = {};
    if (mount && fstatat(AT_FDCWD, mount->mount_point.c_str(), &stat, 0) == 0) {
      files.devices.insert(stat.st_dev);
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status AddUntouched(const std::vector<Descriptor>& descriptors, WatchedFiles& watched,
                          UntouchedFiles& files) {
  for (const Descriptor& descriptor : descriptors) {
    const std::string& text = descriptor.info_text;
    // Most are told apart at once.
    const bool anonymous = descriptor.link && descriptor.link->starts_with("anon_inode:");
    if (!anonymous && HasLease(text)) Add(descriptor.stat, files);
    if (!anonymous && descriptor.link) continue;
    if (HasLine(text, "inotify ")) {
      ASSIGN_OR_RETURN(const std::vector<InotifyWatch> watches, ParseInotifyInfo(text));
      for (const InotifyWatch& watch : watches) {
        RETURN_IF_ERROR(Leave(watch.file, watched, files));
      }
    }
    if (HasLine(text, "fanotify ")) {
      ASSIGN_OR_RETURN(const FanotifyInfo info, ParseFanotifyInfo(text));
      RETURN_IF_ERROR(LeaveMarked(info, watched, files));
    }
  }
  return absl::OkStatus();
}

}  // namespace dumpctl
