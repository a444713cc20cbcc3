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

// Directories in each other that somebody else may have made: each takes a descriptor, and room on
// the stack.
constexpr size_t kMostLevels = 256;

UniqueFd OpenIn(BorrowedFd directory, const char* name) {
  return UniqueFd(openat(directory.get(), name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
}

void Remove(BorrowedFd directory, const char* name, size_t level) {
  const UniqueFd inner = OpenIn(directory, name);
  if (!inner || level == kMostLevels) return;
  const auto names = NamesIn(BorrowedFd(inner));
  if (!names.ok()) return;
  for (const std::string& each : *names) {
    if (unlinkat(inner.get(), each.c_str(), 0) < 0 && errno == EISDIR) {
      Remove(BorrowedFd(inner), each.c_str(), level + 1);
    }
  }
  unlinkat(directory.get(), name, AT_REMOVEDIR);
}

bool HoldsParentImages(BorrowedFd directory, size_t level) {
  if (level == kMostLevels) return false;
  if (flock(directory.get(), LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK) return false;
  const auto is_parent_image = [&](const std::string& name) {
    if (name != kParentLink) {
      const auto kind = KindOfImageName(name);
      return kind && kind != ImageKind::kInventory;
    }
    const UniqueFd further = OpenIn(directory, kParentLink);
    return further && HoldsParentImages(BorrowedFd(further), level + 1);
  };
  const auto names = NamesIn(directory);
  return names.ok() && std::all_of(names->begin(), names->end(), is_parent_image);
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

bool HoldsParentImages(BorrowedFd directory) { return HoldsParentImages(directory, 0); }

void RemoveDirectory(BorrowedFd directory, const char* name) { Remove(directory, name, 0); }

}  // namespace dumpctl
