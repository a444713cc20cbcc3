#ifndef DUMP_FD_NAMES_SEEN_H_
#define DUMP_FD_NAMES_SEEN_H_

#include <sys/stat.h>
#include <sys/types.h>

#include <string>
#include <tuple>

#include "absl/container/flat_hash_map.h"
#include "dump/fd/file_name.h"

namespace dumpctl {

// What was found of names once, told again without asking: by (dev, inode, name) of each file. What
// runs on while its images are built may rename and remove files by then; how it had them when it
// stood is what is dumped. And many descriptors and mappings are of one file.
//
// What has not been asked before is asked then. For one thread at a time.
class NamesSeen {
 public:
  // As ReadName and ReadMappedName.
  FileName Read(const struct stat& stat, const std::string& link);
  FileName ReadMapped(const struct stat& stat, const std::string& path, bool deleted);
  // As JudgeName. `rules` are always the same.
  const NameVerdict& Judge(const struct stat& stat, const FileName& name, const FileRules& rules);

 private:
  using Key = std::tuple<dev_t, ino_t, std::string, bool>;  // the last: deleted

  absl::flat_hash_map<Key, FileName> by_link_;
  absl::flat_hash_map<Key, FileName> mapped_;
  absl::flat_hash_map<Key, NameVerdict> verdicts_;
};

}  // namespace dumpctl

#endif  // DUMP_FD_NAMES_SEEN_H_
