#ifndef DUMP_IMAGE_PARENT_IMAGES_H_
#define DUMP_IMAGE_PARENT_IMAGES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dump/image/image_table.h"
#include "dump/image/standing_pages.h"
#include "dumpctl/remote_address.h"
#include "dumpctl/unique_fd.h"

namespace dumpctl {

// A run of a pagemap.
struct SavedPages {
  RemoteAddress start;
  uint64_t pages = 0;
  bool in_parent = false;  // its bytes stand in images further up
  uint64_t offset = 0;     // of the bytes in the pages file, where they stand here
};

struct SavedPagemap {
  uint32_t pages_id = 0;
  std::vector<SavedPages> runs;  // ascending
};

// A pagemap image (`bytes`, named `name` in errors). DataLoss (Failure::kBadImage) for what is
// none, or does not ascend. Runs without any bytes (LAZY, zeros) are left out.
absl::StatusOr<SavedPagemap> ReadPagemap(const std::string& name, std::string_view bytes);

// Images of an earlier dump or pre-dump, in a directory that is kept from being written while this
// lives, as are those that they build upon (only dumpctl keeps to that).
class ParentImages {
 public:
  // `path` is that of --prev-images-dir: relative to `images_dir`, as the link that will lead there
  // is. Failure::kImagesDir when there is no such directory, or no dump in it; when it is
  // `images_dir` itself, or builds upon it, or when the way there leads through the "parent" in it,
  // so that the new dump would overwrite or replace what it needs.
  static absl::StatusOr<ParentImages> Open(const std::string& images_dir, const std::string& path);

  // The same for a page server, whose images have no inventory. run_id() is empty.
  static absl::StatusOr<ParentImages> OpenPages(const std::string& images_dir,
                                                const std::string& path);

  // As --prev-images-dir gave it.
  const std::string& path() const { return path_; }
  // inventory_entry::dump_criu_run_id: which dump this is. Empty where it does not say.
  const std::string& run_id() const { return run_id_; }
  const std::string& directory() const { return directory_; }
  BorrowedFd fd() const { return BorrowedFd(locks_.front()); }

  // Nobody else reads them, or what they build upon, from here on. Failure::kImagesDir where
  // somebody does by now; then they may be written by others.
  absl::Status KeepAlone() const;

  // What stands there of what the pagemap of that kind and number tells of; nothing where there is
  // none.
  absl::StatusOr<std::optional<StandingPages>> Pages(ImageKind kind, uint32_t id) const;

 private:
  ParentImages(std::string path, std::string directory, std::vector<UniqueFd> locks)
      : path_(std::move(path)), directory_(std::move(directory)), locks_(std::move(locks)) {}

  std::string path_;
  std::string directory_;
  std::vector<UniqueFd> locks_;  // of `directory_`, and what it builds upon
  std::string run_id_;
};

// The directories that the links of `images_dir` lead to, the nearest first. Failure::kImagesDir
// for a link that leads nowhere, or in a circle.
absl::StatusOr<std::vector<std::string>> ParentDirectories(const std::string& images_dir);

}  // namespace dumpctl

#endif  // DUMP_IMAGE_PARENT_IMAGES_H_
