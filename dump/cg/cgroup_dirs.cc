#include "dump/cg/cgroup_dirs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

// Saved of every cgroup, behind what its controllers have.
constexpr std::string_view kOfVersion1[] = {"cgroup.clone_children", "notify_on_release",
                                            "cgroup.procs", "tasks"};
constexpr std::string_view kOfVersion2[] = {"cgroup.subtree_control", "cgroup.max.descendants",
                                            "cgroup.max.depth", "cgroup.freeze", "cgroup.type"};

constexpr std::string_view kNoValue[] = {"cgroup.procs", "tasks"};
constexpr std::string_view kOomControl = "memory.oom_control";
constexpr std::string_view kOomDisabled = "oom_kill_disable ";

bool IsBelow(const std::string& path, const std::string& root) {
  if (root == "/") return true;
  return path.starts_with(root) && (path.size() == root.size() || path[root.size()] == '/');
}

// The one that the options name for a hierarchy; whether it was named by a controller.
std::optional<std::pair<std::string, bool>> RootOf(const std::string& hierarchy,
                                                   const CgroupOptions& options) {
  const std::vector<std::string> controllers = ControllersOf(hierarchy);
  std::optional<std::pair<std::string, bool>> of_all;
  for (const CgroupRoot& root : options.roots) {
    if (root.controller.empty()) of_all = {root.path, false};
  }
  for (const CgroupRoot& root : options.roots) {
    const bool named =
        !root.controller.empty() &&
        (root.controller == hierarchy ||
         std::find(controllers.begin(), controllers.end(), root.controller) != controllers.end());
    if (named) return std::pair(root.path, true);
  }
  return of_all;
}

void Insert(const std::string& path, std::set<std::string>& paths) {
  for (const std::string& other : paths) {
    if (IsBelow(path, other)) return;
  }
  std::erase_if(paths, [&path](const std::string& other) { return IsBelow(other, path); });
  paths.insert(path);
}

// Whether a file may lack that name, or a cgroup may have gone meanwhile.
bool IsAbsent(int error) { return error == ENOENT || error == ENODEV || error == EOPNOTSUPP; }

absl::StatusOr<std::string> ReadAll(BorrowedFd file, const std::string& name) {
  std::string text;
  char piece[4096];
  for (;;) {
    const ssize_t size = read(file.get(), piece, sizeof piece);
    if (size < 0) return absl::ErrnoToStatus(errno, absl::StrCat("reading ", name));
    if (size == 0) return text;
    text.append(piece, static_cast<size_t>(size));
  }
}

void Fill(const struct stat& stat, image::cgroup_perms* perms) {
  perms->set_mode(stat.st_mode);
  perms->set_uid(stat.st_uid);
  perms->set_gid(stat.st_gid);
}

// As a restore writes it.
std::string ValueOf(std::string_view name, std::string text) {
  text.erase(text.find_last_not_of('\n') + 1);
  if (name != kOomControl) return text;
  const size_t at = text.find(kOomDisabled);
  if (at == text.npos) return text;
  const size_t begin = at + kOomDisabled.size();
  return text.substr(begin, text.find('\n', begin) - begin);
}

class Walk {
 public:
  Walk(const std::string& hierarchy, const CgroupProperties& properties) {
    if (hierarchy.empty()) {
      for (const auto& [controller, names] : properties.version_2) Add(names);
      Add(kOfVersion2);
      return;
    }
    for (const std::string& controller : ControllersOf(hierarchy)) {
      const auto found = properties.version_1.find(controller);
      if (found != properties.version_1.end()) Add(found->second);
    }
    Add(kOfVersion1);
  }

  // None where it has gone.
  absl::StatusOr<std::optional<image::cgroup_dir_entry>> Enter(BorrowedFd directory,
                                                               std::string name) const {
    image::cgroup_dir_entry entry;
    entry.set_dir_name(std::move(name));
    struct stat stat = {};
    if (fstat(directory.get(), &stat) < 0) return absl::ErrnoToStatus(errno, "fstat of a cgroup");
    Fill(stat, entry.mutable_dir_perms());
    for (const std::string& property : names_) {
      RETURN_IF_ERROR(AddProperty(directory, property, entry));
    }
    ASSIGN_OR_RETURN(const std::vector<std::string> children, Children(directory));
    for (const std::string& child : children) {
      const UniqueFd below(
          openat(directory.get(), child.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
      if (!below && IsAbsent(errno)) continue;
      if (!below) return absl::ErrnoToStatus(errno, absl::StrCat("opening cgroup ", child));
      ASSIGN_OR_RETURN(auto entered, Enter(BorrowedFd(below), child));
      if (entered) *entry.add_children() = *std::move(entered);
    }
    // As directories are removed from below, files that are not there any more say so.
    if (entry.properties().empty()) return std::nullopt;
    return entry;
  }

 private:
  template <typename Names>
  void Add(const Names& names) {
    for (const auto& name : names) {
      if (std::find(names_.begin(), names_.end(), name) == names_.end()) names_.emplace_back(name);
    }
  }

  absl::Status AddProperty(BorrowedFd directory, const std::string& name,
                           image::cgroup_dir_entry& entry) const {
    const UniqueFd file(openat(directory.get(), name.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file && IsAbsent(errno)) return absl::OkStatus();
    if (!file) return absl::ErrnoToStatus(errno, absl::StrCat("opening ", name, " of a cgroup"));
    struct stat stat = {};
    if (fstat(file.get(), &stat) < 0) return absl::ErrnoToStatus(errno, name);
    std::string value;
    if (std::find(std::begin(kNoValue), std::end(kNoValue), name) == std::end(kNoValue)) {
      absl::StatusOr<std::string> text = ReadAll(BorrowedFd(file), name);
      // ENODEV and EOPNOTSUPP.
      if (absl::IsNotFound(text.status()) || absl::IsUnimplemented(text.status())) {
        return absl::OkStatus();
      }
      RETURN_IF_ERROR(text.status());
      value = ValueOf(name, *std::move(text));
    }
    image::cgroup_prop_entry* property = entry.add_properties();
    property->set_name(name);
    property->set_value(std::move(value));
    Fill(stat, property->mutable_perms());
    return absl::OkStatus();
  }

  static absl::StatusOr<std::vector<std::string>> Children(BorrowedFd directory) {
    UniqueFd readable(openat(directory.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!readable && IsAbsent(errno)) return std::vector<std::string>();
    if (!readable) return absl::ErrnoToStatus(errno, "opening a cgroup");
    const std::unique_ptr<DIR, int (*)(DIR*)> stream(fdopendir(readable.get()), closedir);
    if (stream == nullptr) return absl::ErrnoToStatus(errno, "reading a cgroup");
    static_cast<void>(readable.Release());
    std::vector<std::string> children;
    while (const dirent* entry = readdir(stream.get())) {
      const std::string_view name = entry->d_name;
      if (entry->d_type == DT_DIR && name != "." && name != "..") children.emplace_back(name);
    }
    std::sort(children.begin(), children.end());
    return children;
  }

  std::vector<std::string> names_;
};

absl::StatusOr<image::cg_controller_entry> ControllerEntry(const std::string& hierarchy,
                                                           const std::set<std::string>& paths,
                                                           const CgroupOptions& options,
                                                           CgroupHierarchies& hierarchies) {
  image::cg_controller_entry entry;
  for (const std::string& controller : ControllersOf(hierarchy)) entry.add_cnames(controller);
  entry.set_is_threaded(false);
  if (options.ignore) return entry;
  entry.set_is_threaded(!hierarchy.empty());
  const Walk walk(hierarchy, options.properties ? *options.properties : DefaultCgroupProperties());
  for (const std::string& path : paths) {
    absl::StatusOr<UniqueFd> directory = hierarchies.Open(hierarchy, path);
    if (absl::IsNotFound(directory.status())) continue;
    RETURN_IF_ERROR(directory.status());
    // Relative to the root, whose name is empty.
    ASSIGN_OR_RETURN(auto entered, walk.Enter(BorrowedFd(*directory), path.substr(1)));
    if (!entered) continue;
    for (const image::cgroup_prop_entry& property : entered->properties()) {
      if (property.name() == "cgroup.type" && property.value() == "threaded") {
        entry.set_is_threaded(true);
      }
    }
    *entry.add_dirs() = *std::move(entered);
  }
  return entry;
}

}  // namespace

std::map<std::string, std::set<std::string>> CgroupsToSave(const CgroupSets& sets,
                                                           const CgroupOptions& options) {
  std::map<std::string, std::set<std::string>> cgroups;
  for (const auto& [number, set] : sets.sets()) {
    for (const auto& [hierarchy, path] : set) {
      const auto root = RootOf(hierarchy, options);
      // Tasks that are elsewhere keep their cgroups.
      if (root) Insert(root->first, cgroups[hierarchy]);
      Insert(path, cgroups[hierarchy]);
    }
  }
  return cgroups;
}

absl::StatusOr<ResourceRefusals> RefuseCgroups(const CgroupSets& sets,
                                               const CgroupOptions& options) {
  ResourceRefusals refusals;
  if (options.ignore) return refusals;
  const auto to_save = CgroupsToSave(sets, options);
  if (to_save.empty()) return refusals;
  ASSIGN_OR_RETURN(CgroupHierarchies hierarchies, CgroupHierarchies::Create(options.yard));
  for (const auto& [hierarchy, paths] : to_save) {
    for (const std::string& path : paths) {
      const std::string name = absl::StrCat("cgroup ", hierarchy, ":", path);
      if (IsBelow(path, "/..")) {
        refusals.push_back({0, name, "it is outside of dumpctl's cgroup namespace",
                            "add --manage-cgroups=ignore, or run dumpctl in the host's one"});
        continue;
      }
      const absl::Status opened = hierarchies.Open(hierarchy, path).status();
      if (opened.ok()) continue;
      if (!absl::IsNotFound(opened)) return opened;
      const auto root = RootOf(hierarchy, options);
      if (!root || root->first != path) {
        refusals.push_back(
            {0, name, "no mount that dumpctl sees shows it",
             "add --cgroup-yard with directories that do, or --manage-cgroups=ignore"});
      } else if (root->second) {
        refusals.push_back(
            {0, name, "there is no such cgroup", "name one in --cgroup-root that is there"});
      }
    }
  }
  return refusals;
}

absl::StatusOr<image::cgroup_entry> CgroupEntry(const CgroupSets& sets,
                                                const CgroupOptions& options) {
  image::cgroup_entry entry;
  ASSIGN_OR_RETURN(CgroupHierarchies hierarchies, CgroupHierarchies::Create(options.yard));
  for (const auto& [number, set] : sets.sets()) {
    *entry.add_sets() = CgroupSetEntry(number, set);
  }
  for (const auto& [hierarchy, paths] : CgroupsToSave(sets, options)) {
    ASSIGN_OR_RETURN(*entry.add_controllers(),
                     ControllerEntry(hierarchy, paths, options, hierarchies));
  }
  return entry;
}

}  // namespace dumpctl
