#ifndef DUMP_IMAGE_PAGE_SINK_H_
#define DUMP_IMAGE_PAGE_SINK_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "dump/image/image_sink.h"
#include "dump/image/image_writer.h"
#include "dump/image/page_run.h"
#include "dump/image/page_stream.h"
#include "dumpctl/remote_address.h"
#include "dumpctl/unique_fd.h"

namespace dumpctl {

// Where the pages of one task go: a pages file whose bytes are the concatenation of its runs, and
// the pagemap that says which. The file is written by the caller at `offset`, by whatever way is
// the fastest; Account then says what was written. Where there is no file, the pages go into
// `stream`, in order.
class PageSink {
 public:
  // `pages_id` numbers the pages in the dump.
  static PageSink ToFile(UniqueFd file, uint32_t pages_id) {
    return PageSink(std::move(file), nullptr, pages_id);
  }
  static PageSink ToStream(PageStream& stream, uint32_t pages_id) {
    return PageSink(UniqueFd(), &stream, pages_id);
  }

  uint32_t pages_id() const { return pages_id_; }
  // Whose pages; known when all tasks stand.
  void BelongTo(const PagesOwner& owner) { owner_ = owner; }
  const PagesOwner& owner() const { return owner_; }
  bool keeps_pagemap() const { return stream_ == nullptr || !stream_->keeps_pagemaps(); }
  // Null where there is a file.
  PageStream* stream() const { return stream_; }
  BorrowedFd file() const { return BorrowedFd(file_); }

  // Has the file be written past the page cache (O_DIRECT), by whole pages from memory that begins
  // with one. False where its file system does not.
  bool WriteDirectly();
  bool direct() const { return direct_; }
  uint64_t offset() const { return offset_; }

  // `pages` pages of the task from `address` on stand at `offset` now. Ascending addresses only.
  // `lazy`: a restore may ask for them later.
  void Account(RemoteAddress address, uint64_t pages, bool lazy = false);
  // The same pages stand in the parent images: in the pagemap of the same name, in the directory
  // "parent" of this one, or what a link of that name leads to (criu(8), --prev-images-dir).
  // Ascending addresses only, but before or after those of Account as it comes.
  void AccountInParent(RemoteAddress address, uint64_t pages);

  std::vector<PageRun> InParent() const;

  // Of the task, or whatever else `kind` is for, that has the number `id`.
  absl::StatusOr<ImageWriter> Pagemap(ImageKind kind, uint32_t id) const;

 private:
  struct Run {
    RemoteAddress address;
    uint64_t pages;
    uint32_t flags;  // as in pagemap_entry
  };

  static void Add(const Run& run, std::vector<Run>& runs);
  std::vector<Run> AllRuns() const;

  PageSink(UniqueFd file, PageStream* stream, uint32_t pages_id)
      : file_(std::move(file)), stream_(stream), pages_id_(pages_id) {}

  UniqueFd file_;
  PageStream* stream_;
  uint32_t pages_id_;
  PagesOwner owner_;
  bool direct_ = false;
  uint64_t offset_ = 0;
  std::vector<Run> runs_;
  std::vector<Run> in_parent_;
};

}  // namespace dumpctl

#endif  // DUMP_IMAGE_PAGE_SINK_H_
