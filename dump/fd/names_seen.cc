#include "dump/fd/names_seen.h"

#include <utility>

namespace dumpctl {

FileName NamesSeen::Read(const struct stat& stat, const std::string& link) {
  const auto [seen, is_new] = by_link_.try_emplace({stat.st_dev, stat.st_ino, link, false});
  if (is_new) seen->second = ReadName(stat, link, {});
  return seen->second;
}

FileName NamesSeen::ReadMapped(const struct stat& stat, const std::string& path, bool deleted) {
  const auto [seen, is_new] = mapped_.try_emplace({stat.st_dev, stat.st_ino, path, deleted});
  if (is_new) seen->second = ReadMappedName(stat, path, deleted, {});
  return seen->second;
}

const NameVerdict& NamesSeen::Judge(const struct stat& stat, const FileName& name,
                                    const FileRules& rules) {
  const auto [seen, is_new] =
      verdicts_.try_emplace({stat.st_dev, stat.st_ino, name.path, name.deleted});
  if (is_new) seen->second = JudgeName(stat, name, rules);
  return seen->second;
}

}  // namespace dumpctl
