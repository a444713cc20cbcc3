#ifndef DUMP_IMAGE_PAGE_SINK_H_
#define DUMP_IMAGE_PAGE_SINK_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "dump/image/image_directory.h"
#include "dump/image/image_writer.h"
#include "dumpctl/remote_address.h"
#include "dumpctl/unique_fd.h"

namespace dumpctl {

inline constexpr uint64_t kImagePageSize = 4096;

// Where the pages of one task go: a pages file whose bytes are the concatenation of its runs, and
// the pagemap that says which. The file is written by the caller at `offset`, by whatever way is
// the fastest; Account then says what was written.
class PageSink {
 public:
  // `pages_id` numbers the pages file in the dump.
  static absl::StatusOr<PageSink> Create(ImageDirectory& directory, uint32_t pages_id);

  BorrowedFd file() const { return BorrowedFd(file_); }
  uint64_t offset() const { return offset_; }

  // `pages` pages of the task from `address` on stand at `offset` now. Ascending addresses only,
  // those of AccountInParent included.
  void Account(RemoteAddress address, uint64_t pages);
  // The same pages stand in the parent images: in the pagemap of the same name, in the directory
  // that the link "parent" beside this one leads to (criu(8), --prev-images-dir).
  void AccountInParent(RemoteAddress address, uint64_t pages);

  // Of the task, or whatever else `kind` is for, that has the number `id`.
  absl::StatusOr<ImageWriter> Pagemap(ImageKind kind, uint32_t id) const;

 private:
  struct Run {
    RemoteAddress address;
    uint64_t pages;
    uint32_t flags;  // as in pagemap_entry
  };

  void Add(const Run& run);

  PageSink(UniqueFd file, uint32_t pages_id) : file_(std::move(file)), pages_id_(pages_id) {}

  UniqueFd file_;
  uint32_t pages_id_;
  uint64_t offset_ = 0;
  std::vector<Run> runs_;
};

}  // namespace dumpctl

#endif  // DUMP_IMAGE_PAGE_SINK_H_
