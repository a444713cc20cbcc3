#include "dump/cg/cgroup_hierarchies.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "dump/cg/cgroup_sets.h"
#include "dumpctl/status_macros.h"
#include "proc/proc_fs.h"

namespace dumpctl {
namespace {

constexpr std::string_view kNamed = "name=";

// Whether a mount shows that hierarchy. Version 1 tells its controllers among the options.
bool Shows(const Mount& mount, const std::string& hierarchy) {
  if (hierarchy.empty()) return mount.fs_type == "cgroup2";
  if (mount.fs_type != "cgroup") return false;
  const std::vector<std::string> options = absl::StrSplit(mount.super_options, ',');
  const std::vector<std::string> controllers = ControllersOf(hierarchy);
  return std::all_of(controllers.begin(), controllers.end(), [&options](const std::string& name) {
    return std::find(options.begin(), options.end(), name) != options.end();
  });
}

std::string NameInYard(const std::string& hierarchy) {
  if (hierarchy.empty()) return "unified";
  return hierarchy.starts_with(kNamed) ? hierarchy.substr(kNamed.size()) : hierarchy;
}

// Something else may be mounted over it.
bool IsCgroup(BorrowedFd directory) {
  struct statfs fs = {};
  if (fstatfs(directory.get(), &fs) < 0) return false;
  return fs.f_type == CGROUP_SUPER_MAGIC || fs.f_type == CGROUP2_SUPER_MAGIC;
}

bool IsOfDevice(BorrowedFd directory, dev_t dev) {
  struct stat stat = {};
  return fstat(directory.get(), &stat) == 0 && stat.st_dev == dev;
}

// `path` from where the directory `root` is one sees; none where it is not below it.
bool IsBelow(std::string_view path, std::string_view root) {
  if (root == "/") return true;
  return path.starts_with(root) && (path.size() == root.size() || path[root.size()] == '/');
}

}  // namespace

absl::StatusOr<CgroupHierarchies> CgroupHierarchies::Create(std::string yard) {
  CgroupHierarchies hierarchies;
  hierarchies.yard_ = std::move(yard);
  if (!hierarchies.yard_.empty()) return hierarchies;
  ASSIGN_OR_RETURN(const ProcDir self, ProcDir::OpenOwn());
  ASSIGN_OR_RETURN(const std::string text, self.Read("mountinfo"));
  ASSIGN_OR_RETURN(hierarchies.mounts_, ParseMountinfo(text));
  return hierarchies;
}

absl::StatusOr<UniqueFd> CgroupHierarchies::Open(const std::string& hierarchy,
                                                 std::string_view path) {
  auto known = roots_.find(hierarchy);
  if (known == roots_.end()) {
    ASSIGN_OR_RETURN(std::vector<Root> found, FindRoots(hierarchy));
    known = roots_.emplace(hierarchy, std::move(found)).first;
  }
  for (const Root& root : known->second) {
    if (!IsBelow(path, root.path)) continue;
    const std::string relative =
        absl::StrCat(".", std::string(path.substr(root.path == "/" ? 0 : root.path.size())));
    UniqueFd directory(openat(root.fd.get(), relative.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (directory) return directory;
    return absl::ErrnoToStatus(errno, absl::StrCat("cgroup ", hierarchy, ":", std::string(path)));
  }
  return absl::NotFoundError(
      absl::StrCat("no mount shows cgroup ", hierarchy, ":", std::string(path)));
}

absl::StatusOr<std::vector<CgroupHierarchies::Root>> CgroupHierarchies::FindRoots(
    const std::string& hierarchy) const {
  std::vector<Root> roots;
  if (!yard_.empty()) {
    const std::string path = absl::StrCat(yard_, "/", NameInYard(hierarchy));
    UniqueFd fd(open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (fd && IsCgroup(BorrowedFd(fd))) roots.push_back({std::move(fd), "/"});
    return roots;
  }
  for (const Mount& mount : mounts_) {
    if (!Shows(mount, hierarchy)) continue;
    UniqueFd fd(open(mount.mount_point.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!fd || !IsCgroup(BorrowedFd(fd)) || !IsOfDevice(BorrowedFd(fd), mount.dev)) continue;
    roots.push_back({std::move(fd), mount.root});
  }
  return roots;
}

}  // namespace dumpctl
