#include "dump/image/set_aside.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "dump/image/directory_entries.h"
#include "dump/image/image_table.h"
#include "dump/image/output_file.h"
#include "dumpctl/failure.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

// While they are taken; nothing of the new dump stands in the directory.
constexpr char kTaking[] = ".earlier";
// When all are, and the new dump has a parent, or none.
constexpr char kTakenParent[] = ".earlier-parent";
constexpr char kTaken[] = ".earlier-whole";
// An earlier dump that is whole no more.
constexpr char kDropped[] = ".earlier-dropped";

UniqueFd OpenDirectoryIn(BorrowedFd directory, const char* name) {
  return UniqueFd(openat(directory.get(), name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
}

bool IsIn(BorrowedFd directory, const std::string& name) {
  return faccessat(directory.get(), name.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

absl::Status Stuck(const std::string& name, std::string_view why) {
  return MakeFailure(
      Failure::kImagesDir, absl::StatusCode::kFailedPrecondition,
      absl::StrCat("an earlier dump stands aside in .dumpctl-staging in it, where a dump that was "
                   "killed has left it, and cannot be put back for ",
                   name, ": ", std::string(why)));
}

// What the dump that was killed has in its place by now. Whoever can make a hidden directory can
// have nobody's files moved by it but his own.
absl::Status TakeNewBack(BorrowedFd directory, BorrowedFd hidden, const char* taken) {
  const UniqueFd aside = OpenDirectoryIn(hidden, taken);
  struct stat own = {};
  if (!aside || fstat(aside.get(), &own) < 0) return Stuck(taken, std::strerror(errno));
  ASSIGN_OR_RETURN(const std::vector<std::string> names, NamesIn(directory));
  for (const std::string& name : names) {
    const bool is_new = name == kParentLink
                            ? taken == std::string_view(kTakenParent)
                            : KindOfImageName(name) || IsIn(BorrowedFd(aside), name);
    if (!is_new) continue;
    struct stat there = {};
    if (fstatat(directory.get(), name.c_str(), &there, AT_SYMLINK_NOFOLLOW) < 0) continue;
    if (own.st_uid != geteuid() && own.st_uid != there.st_uid) {
      return Stuck(name, "it is another user's");
    }
    if (renameat(directory.get(), name.c_str(), hidden.get(), name.c_str()) < 0) {
      return Stuck(name, std::strerror(errno));
    }
  }
  if (renameat(hidden.get(), taken, hidden.get(), kTaking) == 0) return absl::OkStatus();
  return Stuck(taken, std::strerror(errno));
}

}  // namespace

absl::Status SetAside::Take(const std::string& name) {
  if (!aside_) {
    if (mkdirat(hidden_.get(), kTaking, 0700) < 0) return ImageWriteError(errno, kTaking);
    aside_ = OpenDirectoryIn(hidden_, kTaking);
    if (!aside_) return ImageWriteError(errno, kTaking);
  }
  if (renameat(directory_.get(), name.c_str(), aside_.get(), name.c_str()) == 0 ||
      errno == ENOENT) {
    return absl::OkStatus();
  }
  if (errno != EXDEV) return ReplaceError(errno, name);
  // An overlayfs moves no directory of a lower layer. Without it, what else there is is not whole.
  if (renameat(hidden_.get(), kTaking, hidden_.get(), kDropped) < 0) {
    return ReplaceError(errno, name);
  }
  removed_ = true;
  RemoveDirectory(directory_, name.c_str());
  return IsIn(directory_, name) ? ReplaceError(EXDEV, name) : absl::OkStatus();
}

absl::Status SetAside::Sync() const {
  if (!aside_) return absl::OkStatus();
  for (const int each : {aside_.get(), hidden_.get()}) {
    if (fsync(each) < 0) return ImageWriteError(errno, kTaking);
  }
  return absl::OkStatus();
}

absl::Status SetAside::End(bool new_parent) const {
  if (!aside_ || removed_) return absl::OkStatus();
  const char* const taken = new_parent ? kTakenParent : kTaken;
  if (renameat(hidden_.get(), kTaking, hidden_.get(), taken) == 0) return absl::OkStatus();
  return ImageWriteError(errno, taken);
}

void SetAside::Drop(BorrowedFd hidden) {
  for (const char* name : {kTaking, kTakenParent, kTaken}) {
    (void)renameat(hidden.get(), name, hidden.get(), kDropped);
  }
}

absl::Status SetAside::PutBack(BorrowedFd directory, BorrowedFd hidden) {
  const std::string inventory = ImageName(ImageKind::kInventory);
  if (IsIn(directory, inventory)) {
    // It is removed piece by piece.
    Drop(hidden);
    return absl::OkStatus();
  }
  for (const char* taken : {kTakenParent, kTaken}) {
    if (IsIn(hidden, taken)) RETURN_IF_ERROR(TakeNewBack(directory, hidden, taken));
  }
  const UniqueFd aside = OpenDirectoryIn(hidden, kTaking);
  if (!aside) {
    return errno == ENOENT ? absl::OkStatus() : Stuck(kTaking, std::strerror(errno));
  }
  ASSIGN_OR_RETURN(std::vector<std::string> names, NamesIn(BorrowedFd(aside)));
  std::partition(names.begin(), names.end(),
                 [&](const std::string& name) { return name != inventory; });
  for (const std::string& name : names) {
    if (IsIn(directory, name)) return Stuck(name, std::strerror(EEXIST));
    // Renames are in order on the disk only where somebody sees to it.
    if (name == inventory) (void)fsync(directory.get());
    if (renameat(aside.get(), name.c_str(), directory.get(), name.c_str()) < 0) {
      return Stuck(name, std::strerror(errno));
    }
  }
  return absl::OkStatus();
}

}  // namespace dumpctl
