#ifndef DUMP_SESSION_LINK_REMAPS_H_
#define DUMP_SESSION_LINK_REMAPS_H_

#include <atomic>
#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "dump/fd/file_table.h"
#include "dump/image/image_directory.h"
#include "dump/session/guardian.h"
#include "dump/session/shared_memory.h"
#include "dumpctl/unique_fd.h"

namespace dumpctl {

// Names that are made for files whose own are deleted, so that a restore finds them; it removes
// them again. They stay only when the dump stands: they are removed with the object until Keep, and
// by another process when this one is killed before the images were committed.
class LinkRemaps {
 public:
  LinkRemaps() = default;
  LinkRemaps(const LinkRemaps&) = delete;
  LinkRemaps& operator=(const LinkRemaps&) = delete;
  ~LinkRemaps();

  // Makes them; `files` are ours (O_PATH will do). After an error there are none.
  absl::Status Make(const std::vector<FileTable::Link>& links, const LinkedFiles& files,
                    CommitMark mark);

  // The dump stands.
  void Keep();

 private:
  struct Made {
    UniqueFd directory;
    std::string name;
  };
  // What the other process sees of us.
  struct Shared {
    std::atomic<size_t> made = 0;  // how many of `links_` may be there
    std::atomic<bool> keep = false;
  };

  static void RemoveUnlessKept(void* links);
  void Remove() const;

  std::vector<Made> links_;
  CommitMark mark_;
  SharedMemory<Shared> shared_;
  Guardian guardian_;
};

}  // namespace dumpctl

#endif  // DUMP_SESSION_LINK_REMAPS_H_
