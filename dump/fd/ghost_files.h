#ifndef DUMP_FD_GHOST_FILES_H_
#define DUMP_FD_GHOST_FILES_H_

#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dump/image/image_sink.h"
#include "dumpctl/unique_fd.h"
#include "proc/proc_fs.h"

namespace dumpctl {

// A ghost that was saved.
struct Ghost {
  uint32_t number = 0;  // of its image
  uint64_t size = 0;
  std::vector<uint32_t> build_id;  // see ReadBuildId
};

// By device and inode.
using GhostTable = std::map<std::pair<dev_t, ino_t>, Ghost>;

// Files one of whose names is gone, kept to be linked to: ours (O_PATH will do).
using LinkedFiles = std::map<std::pair<dev_t, ino_t>, UniqueFd>;

// Saves ghosts: files that are open, mapped or a working directory, and have no name any more.
// Each has an image of its own, which is written as it is read: of a large one little is in memory.
class GhostFiles {
 public:
  // All must outlive the object. `may_go_on` is asked now and then, and its error ends a copy.
  static absl::StatusOr<GhostFiles> Create(ImageSink& images,
                                           const std::function<absl::Status()>& may_go_on);

  // Saves what stands behind a descriptor of ours (O_PATH will do), unless that is done. Asked
  // while who could change it stands still.
  absl::Status Save(BorrowedFd file);

  const GhostTable& table() const { return table_; }
  uint64_t bytes() const { return bytes_; }

 private:
  GhostFiles(ProcDir self, ImageSink& images, const std::function<absl::Status()>& may_go_on)
      : self_(std::move(self)), images_(images), may_go_on_(may_go_on) {}

  absl::StatusOr<UniqueFd> OpenToRead(BorrowedFd file) const;
  absl::Status SaveRegular(BorrowedFd from, const struct stat& stat, ImageWriter image);
  absl::Status Copy(BorrowedFd from, off_t offset, off_t end, ImageFile& image);

  ProcDir self_;
  ImageSink& images_;
  const std::function<absl::Status()>& may_go_on_;
  GhostTable table_;
  uint64_t bytes_ = 0;
};

}  // namespace dumpctl

#endif  // DUMP_FD_GHOST_FILES_H_
