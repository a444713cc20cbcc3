#include "dump/fd/inotify_file.h"

#include <sys/inotify.h>

#include <vector>

#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

// The kernel shows both, and stock restore sets neither.
constexpr WhyNot kOneShot = {
    "a restore would make a lasting watch of one that ends with its first "
    "event (IN_ONESHOT)",
    "let the program give up that watch"};
constexpr WhyNot kExcludesUnlinked = {
    "a restore would make it tell of deleted files, too (IN_EXCL_UNLINK)",
    "let the program watch without IN_EXCL_UNLINK"};

}  // namespace

absl::StatusOr<std::optional<WhyNot>> WhyNotInotify(std::string_view info_text,
                                                    WatchedFiles& files) {
  ASSIGN_OR_RETURN(const std::vector<InotifyWatch> watches, ParseInotifyInfo(info_text));
  for (const InotifyWatch& watch : watches) {
    if ((watch.mask & IN_ONESHOT) != 0) return kOneShot;
    if ((watch.mask & IN_EXCL_UNLINK) != 0) return kExcludesUnlinked;
    ASSIGN_OR_RETURN(const WatchedFiles::Found found, files.Find(watch.file));
    if (const auto* why_not = std::get_if<WhyNot>(&found)) return *why_not;
  }
  return std::nullopt;
}

absl::StatusOr<image::inotify_file_entry> InotifyEntry(std::string_view info_text,
                                                       WatchedFiles& files) {
  ASSIGN_OR_RETURN(const std::vector<InotifyWatch> watches, ParseInotifyInfo(info_text));
  image::inotify_file_entry entry;
  for (const InotifyWatch& watch : watches) {
    ASSIGN_OR_RETURN(const WatchedFiles::Found found, files.Find(watch.file));
    const auto* name = std::get_if<WatchedFiles::Name>(&found);
    if (name == nullptr) return absl::InternalError("a watched file has lost its name");
    image::inotify_wd_entry* wd = entry.add_wd();
    wd->set_id(0);
    wd->set_i_ino(watch.file.inode);
    wd->set_mask(watch.mask);
    wd->set_ignored_mask(0);
    wd->set_s_dev(watch.file.device);
    wd->set_wd(static_cast<uint32_t>(watch.number));
    *wd->mutable_f_handle() = HandleEntry(watch.file, name->path);
  }
  return entry;
}

}  // namespace dumpctl
