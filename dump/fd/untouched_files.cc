#include "dump/fd/untouched_files.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <optional>
#include <string>
#include <variant>

#include "dump/fd/file_locks.h"
#include "dump/fd/watched_files.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

absl::Status Leave(const WatchedInode& file, WatchedFiles& watched, FileTable& files) {
  ASSIGN_OR_RETURN(const WatchedFiles::Found found, watched.Find(file));
  if (const auto* name = std::get_if<WatchedFiles::Name>(&found)) files.DoNotOpen(name->stat);
  return absl::OkStatus();
}

absl::Status LeaveMarked(const FanotifyInfo& info, WatchedFiles& watched, FileTable& files) {
  for (const FanotifyMark& mark : info.marks) {
    if (mark.kind == FanotifyMark::Kind::kInode) {
      RETURN_IF_ERROR(Leave(mark.file, watched, files));
      continue;
    }
    ASSIGN_OR_RETURN(const std::optional<Mount> mount, watched.FindMount(mark.mount_id));
    struct stat stat = {};
    if (mount && fstatat(AT_FDCWD, mount->mount_point.c_str(), &stat, 0) == 0) {
      files.DoNotOpenOn(stat.st_dev);
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status LeaveUntouched(const std::vector<Descriptor>& descriptors, FileTable& files) {
  WatchedFiles watched;
  for (const Descriptor& descriptor : descriptors) {
    const std::string& text = descriptor.info_text;
    if (HasLease(text)) files.DoNotOpen(descriptor.stat);
    if (text.find("\ninotify ") != std::string::npos) {
      ASSIGN_OR_RETURN(const std::vector<InotifyWatch> watches, ParseInotifyInfo(text));
      for (const InotifyWatch& watch : watches) {
        RETURN_IF_ERROR(Leave(watch.file, watched, files));
      }
    }
    if (text.find("\nfanotify ") != std::string::npos) {
      ASSIGN_OR_RETURN(const FanotifyInfo info, ParseFanotifyInfo(text));
      RETURN_IF_ERROR(LeaveMarked(info, watched, files));
    }
  }
  return absl::OkStatus();
}

}  // namespace dumpctl
