#ifndef DUMP_FD_WATCHED_FILES_H_
#define DUMP_FD_WATCHED_FILES_H_

#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "dumpctl/resource_refusal.h"
#include "proc/mountinfo_parser.h"
#include "proc/watch_fdinfo_parser.h"
#include "proto/events.pb.h"

namespace dumpctl {

// The names of what inotify(7) and fanotify(7) watch. The kernel tells its inode alone, and a
// restore needs a name. Nobody who watches the files notices that they are looked for: none is
// opened, and no directory is read.
class WatchedFiles {
 public:
  struct Name {
    struct stat stat = {};
    std::string path;
  };
  // Asks once for each file. Why not: nothing names it any more, or the kernel does not know its
  // name; or CAP_DAC_READ_SEARCH is missing (open_by_handle_at(2)).
  using Found = std::variant<Name, WhyNot>;
  absl::StatusOr<Found> Find(const WatchedInode& file);

  // A mount that we see.
  absl::StatusOr<std::optional<Mount>> FindMount(int id);

 private:
  absl::Status ReadMounts();
  absl::StatusOr<Found> Search(const WatchedInode& file) const;

  std::optional<std::vector<Mount>> mounts_;
  std::map<std::pair<uint32_t, uint64_t>, Found> found_;  // by device and inode
};

// The number of a device as the kernel has it inside: 20 bits of minor.
uint32_t KernelDevice(dev_t device);

// How images tell of a watched file. A restore opens its path, and needs the handle where there is
// none.
image::fh_entry HandleEntry(const WatchedInode& file, const std::string& path);

}  // namespace dumpctl

#endif  // DUMP_FD_WATCHED_FILES_H_
