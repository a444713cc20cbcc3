#ifndef DUMP_MM_PAGE_BATCHES_H_
#define DUMP_MM_PAGE_BATCHES_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "dump/image/page_run.h"

namespace dumpctl {

// Cuts runs into buffers full.
class Batches {
 public:
  Batches(std::span<const PageRun> runs, uint64_t most_bytes)
      : runs_(runs), most_pages_(most_bytes / kImagePageSize) {}

  // Replaces what is in `batch` (so that its memory is used again); empty when all have been given.
  void Next(std::vector<PageRun>& batch) {
    batch.clear();
    for (uint64_t room = most_pages_; room > 0 && next_ < runs_.size();) {
      const PageRun& run = runs_[next_];
      const uint64_t pages = std::min(room, run.pages - taken_);
      if (pages > 0) batch.push_back({run.start + taken_ * kImagePageSize, pages});
      room -= pages;
      taken_ += pages;
      if (taken_ < run.pages) break;
      taken_ = 0;
      ++next_;
    }
  }

 private:
  std::span<const PageRun> runs_;
  uint64_t most_pages_;
  size_t next_ = 0;
  uint64_t taken_ = 0;  // pages of runs_[next_]
};

}  // namespace dumpctl

#endif  // DUMP_MM_PAGE_BATCHES_H_
