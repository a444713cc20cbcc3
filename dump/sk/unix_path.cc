#include "dump/sk/unix_path.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "dumpctl/status_macros.h"
#include "proc/proc_fs.h"

namespace dumpctl {
namespace {

namespace fs = std::filesystem;

// What the kernel appends to the path of a file without a name.
constexpr std::string_view kDeleted = " (deleted)";

bool IsThere(const std::string& path, const struct stat& stat) {
  struct stat there = {};
  return fstatat(AT_FDCWD, path.c_str(), &there, AT_SYMLINK_NOFOLLOW) == 0 &&
         there.st_dev == stat.st_dev && there.st_ino == stat.st_ino;
}

}  // namespace

std::optional<std::string> DirectoryOf(std::string_view name, std::string_view path,
                                       std::string_view working) {
  const auto leads_there = [&](const fs::path& directory) {
    return (directory / name).lexically_normal() == path;
  };
  for (fs::path above = fs::path(path).parent_path();; above = above.parent_path()) {
    if (leads_there(above)) return above.string();
    if (above == above.parent_path()) break;
  }
  if (!working.empty() && leads_there(working)) return std::string(working);
  return std::nullopt;
}

absl::StatusOr<std::optional<BoundPath>> FindBoundPath(std::string_view name, BorrowedFd bound,
                                                       std::string_view working) {
  BoundPath found;
  if (fstat(bound.get(), &found.stat) < 0) {
    return absl::ErrnoToStatus(errno, "fstat of the file that a socket is bound to");
  }
  ASSIGN_OR_RETURN(const ProcDir self, ProcDir::OpenOwn());
  ASSIGN_OR_RETURN(std::string path, self.ReadLink(absl::StrCat("fd/", bound.get())));
  found.deleted = found.stat.st_nlink == 0;
  if (found.deleted && path.ends_with(kDeleted)) path.resize(path.size() - kDeleted.size());
  if (!name.starts_with('/')) {
    std::optional<std::string> directory = DirectoryOf(name, path, working);
    if (!directory) return std::nullopt;
    found.directory = *std::move(directory);
    path = absl::StrCat(found.directory, "/", std::string(name));
  } else if (!found.deleted) {
    path = std::string(name);
  }
  if (!found.deleted && !IsThere(path, found.stat)) return std::nullopt;
  return found;
}

}  // namespace dumpctl
