#include "dump/fd/file_table.h"

#include <fcntl.h>

#include <optional>

#include "absl/strings/str_cat.h"
#include "dump/fd/build_id.h"
#include "dump/fd/file_refusal.h"
#include "dump/image/no_owner.h"
#include "dumpctl/unique_fd.h"

namespace dumpctl {
namespace {

bool OnlyAppends(uint32_t flags) {
  return (flags & O_ACCMODE) == O_WRONLY && (flags & O_APPEND) != 0;
}

}  // namespace

image::reg_file_entry RegularFileEntry(uint32_t id, const struct stat& stat,
                                       const std::string& path, uint32_t flags) {
  image::reg_file_entry entry;
  entry.set_id(id);
  entry.set_flags(flags);
  entry.set_pos(0);
  *entry.mutable_fown() = NoOwner();
  entry.set_name(path);
  entry.set_mode(stat.st_mode);
  if (!S_ISREG(stat.st_mode) || OnlyAppends(flags)) return entry;
  entry.set_size(static_cast<uint64_t>(stat.st_size));
  const UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!file) return entry;
  for (const uint32_t word : ReadBuildId(file.get())) entry.add_build_id(word);
  return entry;
}

uint32_t FileTable::AddByPath(pid_t pid, const ByPath& file, const std::string& resource) {
  const Key key(file.stat.st_dev, file.stat.st_ino, file.path, file.flags);
  const auto [known, is_new] = by_path_.try_emplace(key, next_id_);
  if (!is_new) return known->second;
  const uint32_t id = NextId();
  if (const std::optional<WhyNot> why_not = WhyNotReachable(file.stat, file.path)) {
    Refuse({pid, absl::StrCat(resource, " (", file.path, ")"), std::string(why_not->why),
            std::string(why_not->remedy)});
    return id;
  }
  image::file_entry entry;
  entry.set_type(image::REG);
  entry.set_id(id);
  *entry.mutable_reg() = RegularFileEntry(id, file.stat, file.path, file.flags);
  Add(std::move(entry));
  return id;
}

}  // namespace dumpctl
