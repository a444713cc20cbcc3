#ifndef DUMP_FD_FILE_TABLE_H_
#define DUMP_FD_FILE_TABLE_H_

#include <sys/stat.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "dump/fd/file_name.h"
#include "dump/fd/ghost_files.h"
#include "dumpctl/resource_refusal.h"
#include "proto/files.pb.h"

namespace dumpctl {

// What is not to be opened: who has it would notice.
struct UntouchedFiles {
  // Under a lease, or watched; and what is in those that are directories.
  std::set<std::pair<dev_t, ino_t>> files;
  std::set<dev_t> devices;  // of file systems, with all that they hold
};

// files.img while it is built: every file of a dump, numbered from 1. Mappings, programs and
// working directories refer to files by these numbers, as descriptors do.
class FileTable {
 public:
  // A name that is to be made for a file, by device and inode, before a restore can find it.
  struct Link {
    std::pair<dev_t, ino_t> file;
    std::string path;
  };

  FileTable() = default;
  FileTable(FileRules rules, GhostTable ghosts, UntouchedFiles untouched = {})
      : rules_(std::move(rules)), ghosts_(std::move(ghosts)), untouched_(std::move(untouched)) {}

  // A file that no descriptor of a task holds: what is mapped, run, or a working directory. The
  // same file under the same name and flags is one entry.
  struct ByPath {
    struct stat stat = {};
    FileName name;
    uint32_t flags = 0;  // O_RDONLY or O_RDWR
    uint64_t mount_id = 0;
  };
  // `resource` says what it is, should it have to be refused: "its working directory".
  absl::StatusOr<uint32_t> AddByPath(pid_t pid, const ByPath& file, const std::string& resource);

  uint32_t NextId() { return next_id_++; }
  // About so many more are to be added.
  void Expect(size_t files);
  void Add(image::file_entry&& entry) { entries_.push_back(std::move(entry)); }
  // Gives the entry of a file the name that a restore opens it by, and what goes with it: size and
  // build id, by which it notices that the file is not what it was, are left out where they say
  // nothing (the size of a log that is only appended to, the build id of what is no program, or of
  // one that has been moved since it was seen); a
  // ghost is remapped to its image, and a file whose name is gone to one of `links`. Internal when
  // a ghost was never saved.
  absl::Status SetName(const struct stat& stat, const FileName& name, uint64_t mount_id,
                       image::reg_file_entry& entry);
  void Refuse(ResourceRefusal refusal) { refusals_.push_back(std::move(refusal)); }

  const std::vector<image::file_entry>& entries() const { return entries_; }
  // When there is nothing more to be added.
  std::vector<image::file_entry> TakeEntries() { return std::exchange(entries_, {}); }
  // Those of longer names first: a restore removes what it has made in their order, and what is in
  // a deleted directory has to go before it.
  std::vector<image::remap_file_path_entry> Remaps() const;
  const std::vector<Link>& links() const { return links_; }
  const ResourceRefusals& refusals() const { return refusals_; }
  const FileRules& rules() const { return rules_; }

 private:
  // The number of a file under a name that is to be made for `name`.
  uint32_t AddLink(const struct stat& stat, const FileName& name);

  bool MayOpen(const struct stat& stat, const std::string& path) const;

  using Key = std::tuple<dev_t, ino_t, std::string, uint32_t>;

  FileRules rules_;
  GhostTable ghosts_;
  UntouchedFiles untouched_;
  uint32_t next_id_ = 1;
  std::vector<image::file_entry> entries_;
  std::vector<std::pair<size_t, image::remap_file_path_entry>> remaps_;  // with the name's length
  std::vector<Link> links_;
  ResourceRefusals refusals_;
  absl::flat_hash_map<Key, uint32_t> by_path_;
};

}  // namespace dumpctl

#endif  // DUMP_FD_FILE_TABLE_H_
