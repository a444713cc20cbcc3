#include "dump/fd/file_table.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "dump/fd/build_id.h"
#include "dump/image/no_owner.h"
#include "dumpctl/status_macros.h"
#include "dumpctl/unique_fd.h"

namespace dumpctl {
namespace {

constexpr uint64_t kLeastProgram = 64;  // the head of an ELF file

bool OnlyAppends(uint32_t flags) {
  return (flags & O_ACCMODE) == O_WRONLY && (flags & O_APPEND) != 0;
}

// Of nobody, at its start, and without a name yet.
image::file_entry PlainFile(uint32_t id, uint32_t flags) {
  image::file_entry entry;
  entry.set_type(image::REG);
  entry.set_id(id);
  image::reg_file_entry& regular = *entry.mutable_reg();
  regular.set_id(id);
  regular.set_flags(flags);
  regular.set_pos(0);
  *regular.mutable_fown() = NoOwner();
  return entry;
}

}  // namespace

void FileTable::Expect(size_t files) {
  const size_t needed = entries_.size() + files;
  if (needed > entries_.capacity()) entries_.reserve(std::max(needed, 2 * entries_.capacity()));
}

absl::Status FileTable::SetName(const struct stat& stat, const FileName& name, uint64_t mount_id,
                                image::reg_file_entry& entry) {
  entry.set_name(name.path);
  entry.set_mode(stat.st_mode);
  const bool can_read = (entry.flags() & O_PATH) == 0 && (entry.flags() & O_ACCMODE) != O_WRONLY;
  if (S_ISREG(stat.st_mode) && !OnlyAppends(entry.flags())) {
    entry.set_size(static_cast<uint64_t>(stat.st_size));
  }
  if (const auto external = ExternalAmong(rules_, stat, mount_id)) {
    entry.set_name(external->Name());
    entry.set_ext(true);
    return absl::OkStatus();
  }
  const auto remap = [&](uint32_t to, image::remap_type type) {
    image::remap_file_path_entry& added = remaps_.emplace_back().second;
    remaps_.back().first = name.path.size();
    added.set_orig_id(entry.id());
    added.set_remap_id(to);
    added.set_remap_type(type);
  };
  if (name.proc) {
    if (name.proc->dead) remap(static_cast<uint32_t>(name.proc->pid), image::PROCFS);
    return absl::OkStatus();
  }
  if (name.ghost(stat)) {
    const auto ghost = ghosts_.find({stat.st_dev, stat.st_ino});
    if (ghost == ghosts_.end()) {
      return absl::InternalError(absl::StrCat("the deleted file ", name.path, " was never saved"));
    }
    remap(ghost->second.number, image::GHOST);
    if (!entry.has_size()) return absl::OkStatus();
    entry.set_size(ghost->second.size);
    if (!can_read) return absl::OkStatus();
    for (const uint32_t word : ghost->second.build_id) entry.add_build_id(word);
    return absl::OkStatus();
  }
  // A restore looks for it through the descriptor it makes. And what is no file of a disk may lose
  // what is read.
  if (name.linked(stat)) {
    remap(AddLink(stat, name), image::LINKED);
    return absl::OkStatus();
  }
  if (!entry.has_size() || !can_read || DataBytes(stat) < kLeastProgram) return absl::OkStatus();
  if (!MayOpen(stat, name.path)) return absl::OkStatus();
  const UniqueFd file(open(name.path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat opened = {};
  if (!file || fstat(file.get(), &opened) < 0) return absl::OkStatus();
  if (opened.st_dev != stat.st_dev || opened.st_ino != stat.st_ino) return absl::OkStatus();
  for (const uint32_t word : ReadBuildId(file.get())) entry.add_build_id(word);
  return absl::OkStatus();
}

bool FileTable::MayOpen(const struct stat& stat, const std::string& path) const {
  if (untouched_.devices.contains(stat.st_dev)) return false;
  if (!LeadsTo(path, stat)) return false;
  if (untouched_.files.empty()) return true;
  if (untouched_.files.contains({stat.st_dev, stat.st_ino})) return false;
  struct stat parent = {};
  const std::string directory = path.substr(0, path.rfind('/') + 1);
  return fstatat(AT_FDCWD, directory.c_str(), &parent, 0) < 0 ||
         !untouched_.files.contains({parent.st_dev, parent.st_ino});
}

std::vector<image::remap_file_path_entry> FileTable::Remaps() const {
  auto sorted = remaps_;
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<image::remap_file_path_entry> entries;
  for (auto& [length, entry] : sorted) entries.push_back(std::move(entry));
  return entries;
}

uint32_t FileTable::AddLink(const struct stat& stat, const FileName& name) {
  const uint32_t id = NextId();
  const std::string first =
      absl::StrCat(name.path.substr(0, name.path.rfind('/')), "/link_remap.", id);
  std::string path = first;
  // Another dump may have left one of the same number.
  for (int i = 2; faccessat(AT_FDCWD, path.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0; ++i) {
    path = absl::StrCat(first, ".", i);
  }
  Add(PlainFile(id, 0));
  entries_.back().mutable_reg()->set_name(path);
  links_.push_back({{stat.st_dev, stat.st_ino}, std::move(path)});
  return id;
}

absl::StatusOr<uint32_t> FileTable::AddByPath(pid_t pid, const ByPath& file,
                                              const std::string& resource) {
  const Key key(file.stat.st_dev, file.stat.st_ino, file.name.path, file.flags);
  const auto [known, is_new] = by_path_.try_emplace(key, next_id_);
  if (!is_new) return known->second;
  const uint32_t id = NextId();
  if (std::optional<WhyNotText> why_not =
          WhyNotNamed(file.stat, file.name, file.mount_id, rules_)) {
    Refuse({pid, absl::StrCat(resource, " (", file.name.path, ")"), std::move(why_not->why),
            std::move(why_not->remedy)});
    return id;
  }
  image::file_entry entry = PlainFile(id, file.flags);
  RETURN_IF_ERROR(SetName(file.stat, file.name, file.mount_id, *entry.mutable_reg()));
  Add(std::move(entry));
  return id;
}

}  // namespace dumpctl
