#include "dump/image/directory_entries.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "dump/image/image_table.h"
#include "dumpctl/directory_names.h"

namespace dumpctl {
namespace {

void Empty(BorrowedFd directory) {
  const auto names = NamesIn(directory);
  if (!names.ok()) return;
  for (const std::string& name : *names) {
    if (unlinkat(directory.get(), name.c_str(), 0) < 0 && errno == EISDIR) {
      RemoveDirectory(directory, name.c_str());
    }
  }
}

bool IsParentImage(BorrowedFd directory, const std::string& name) {
  if (name != kParentLink) {
    const auto kind = KindOfImageName(name);
    return kind && kind != ImageKind::kInventory;
  }
  const UniqueFd further(
      openat(directory.get(), kParentLink, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  return further && HoldsParentImages(BorrowedFd(further));
}

}  // namespace

absl::StatusOr<std::vector<std::string>> NamesIn(BorrowedFd directory) {
  // A descriptor of its own: reading moves the offset of the open directory.
  const UniqueFd fd(openat(directory.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return absl::ErrnoToStatus(errno, "reading the images directory");
  std::vector<std::string> names;
  const int error = AddNames(BorrowedFd(fd), names);
  if (error != 0) return absl::ErrnoToStatus(error, "reading the images directory");
  return names;
}

bool HoldsParentImages(BorrowedFd directory) {
  if (flock(directory.get(), LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK) return false;
  const auto names = NamesIn(directory);
  return names.ok() && std::all_of(names->begin(), names->end(), [&](const std::string& name) {
           return IsParentImage(directory, name);
         });
}

void RemoveDirectory(BorrowedFd directory, const char* name) {
  const UniqueFd inner(
      openat(directory.get(), name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  if (!inner) return;
  Empty(BorrowedFd(inner));
  unlinkat(directory.get(), name, AT_REMOVEDIR);
}

}  // namespace dumpctl
