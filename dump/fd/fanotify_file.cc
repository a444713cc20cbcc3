#include "dump/fd/fanotify_file.h"

#include <sys/fanotify.h>

#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

// Newer than the headers: FAN_PRE_ACCESS (Linux 6.14).
constexpr uint32_t kPermissions =
    FAN_OPEN_PERM | FAN_ACCESS_PERM | FAN_OPEN_EXEC_PERM | 0x0010'0000;
// The flags that the images have and a restore sets: FAN_MARK_EVICTABLE is of Linux 5.19.
constexpr uint32_t kFlags = FAN_MARK_IGNORED_SURV_MODIFY | 0x0000'0200;

constexpr WhyNot kFileSystem = {
    "a restore marks no whole file systems (FAN_MARK_FILESYSTEM)",
    "let the program mark the mount (FAN_MARK_MOUNT), or remove that mark"};
constexpr WhyNot kGuard = {
    "it decides whether files may be opened or read, for which everybody, dumpctl too, would wait "
    "while it stands still",
    "let the program remove its marks of permission events (FAN_..._PERM)"};
constexpr WhyNot kStrangeMark = {"a restore sets no marks with its flags (FAN_MARK_IGNORE)",
                                 "let the program use FAN_MARK_IGNORED_MASK"};
constexpr WhyNot kLostMount = {"the mount that it marks is in no sight",
                               "let the program remove that mark"};

absl::StatusOr<std::optional<WhyNot>> WhyNotMark(const FanotifyMark& mark, WatchedFiles& files) {
  if (((mark.mask | mark.ignored) & kPermissions) != 0) return kGuard;
  if ((mark.flags & ~kFlags) != 0) return kStrangeMark;
  switch (mark.kind) {
    case FanotifyMark::Kind::kFileSystem:
      return kFileSystem;
    case FanotifyMark::Kind::kMount: {
      ASSIGN_OR_RETURN(const std::optional<Mount> mount, files.FindMount(mark.mount_id));
      if (!mount) return kLostMount;
      return std::nullopt;
    }
    case FanotifyMark::Kind::kInode: {
      ASSIGN_OR_RETURN(const WatchedFiles::Found found, files.Find(mark.file));
      if (const auto* why_not = std::get_if<WhyNot>(&found)) return *why_not;
      return std::nullopt;
    }
  }
  return std::nullopt;
}

absl::Status SetPlace(const FanotifyMark& mark, WatchedFiles& files,
                      image::fanotify_mark_entry& entry) {
  if (mark.kind == FanotifyMark::Kind::kMount) {
    ASSIGN_OR_RETURN(const std::optional<Mount> mount, files.FindMount(mark.mount_id));
    if (!mount) return absl::InternalError("a marked mount has gone");
    entry.set_type(image::MOUNT);
    entry.set_s_dev(KernelDevice(mount->dev));
    entry.mutable_me()->set_mnt_id(static_cast<uint32_t>(mark.mount_id));
    entry.mutable_me()->set_path(mount->mount_point);
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const WatchedFiles::Found found, files.Find(mark.file));
  const auto* name = std::get_if<WatchedFiles::Name>(&found);
  if (name == nullptr) return absl::InternalError("a marked file has lost its name");
  entry.set_type(image::INODE);
  entry.set_s_dev(mark.file.device);
  entry.mutable_ie()->set_i_ino(mark.file.inode);
  *entry.mutable_ie()->mutable_f_handle() = HandleEntry(mark.file, name->path);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::optional<WhyNot>> WhyNotFanotify(std::string_view info_text,
                                                     WatchedFiles& files) {
  ASSIGN_OR_RETURN(const FanotifyInfo info, ParseFanotifyInfo(info_text));
  for (const FanotifyMark& mark : info.marks) {
    ASSIGN_OR_RETURN(const std::optional<WhyNot> why_not, WhyNotMark(mark, files));
    if (why_not) return why_not;
  }
  return std::nullopt;
}

absl::StatusOr<image::fanotify_file_entry> FanotifyEntry(std::string_view info_text,
                                                         WatchedFiles& files) {
  ASSIGN_OR_RETURN(const FanotifyInfo info, ParseFanotifyInfo(info_text));
  image::fanotify_file_entry entry;
  entry.set_faflags(info.flags);
  entry.set_evflags(info.event_flags);
  for (const FanotifyMark& mark : info.marks) {
    image::fanotify_mark_entry* added = entry.add_mark();
    added->set_id(0);
    added->set_mflags(mark.flags);
    added->set_mask(mark.mask);
    added->set_ignored_mask(mark.ignored);
    RETURN_IF_ERROR(SetPlace(mark, files, *added));
  }
  return entry;
}

}  // namespace dumpctl
