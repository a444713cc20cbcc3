#include "dump/image/page_sink.h"

#include <fcntl.h>

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "dumpctl/status_macros.h"
#include "proto/mm.pb.h"

namespace dumpctl {
namespace {

// Of a pagemap_entry.
constexpr uint32_t kParent = 1 << 0;
constexpr uint32_t kLazy = 1 << 1;
constexpr uint32_t kPresent = 1 << 2;

}  // namespace

bool PageSink::WriteDirectly() {
  if (!file_) return false;
  const int flags = fcntl(file_.get(), F_GETFL);
  direct_ = flags >= 0 && fcntl(file_.get(), F_SETFL, flags | O_DIRECT) == 0;
  return direct_;
}

void PageSink::Account(RemoteAddress address, uint64_t pages, bool lazy) {
  offset_ += pages * kImagePageSize;
  Add({address, pages, lazy ? kPresent | kLazy : kPresent}, runs_);
}

void PageSink::AccountInParent(RemoteAddress address, uint64_t pages) {
  Add({address, pages, kParent}, in_parent_);
}

std::vector<PageRun> PageSink::InParent() const {
  std::vector<PageRun> runs;
  runs.reserve(in_parent_.size());
  for (const Run& run : in_parent_) runs.push_back({run.address, run.pages});
  return runs;
}

void PageSink::Add(const Run& run, std::vector<Run>& runs) {
  if (!runs.empty()) {
    Run& last = runs.back();
    if (last.flags == run.flags && last.address + last.pages * kImagePageSize == run.address) {
      last.pages += run.pages;
      return;
    }
  }
  runs.push_back(run);
}

std::vector<PageSink::Run> PageSink::AllRuns() const {
  std::vector<Run> all(runs_.size() + in_parent_.size());
  std::merge(runs_.begin(), runs_.end(), in_parent_.begin(), in_parent_.end(), all.begin(),
             [](const Run& a, const Run& b) { return a.address < b.address; });
  return all;
}

absl::StatusOr<ImageWriter> PageSink::Pagemap(ImageKind kind, uint32_t id) const {
  ImageWriter image(kind, id);
  image::pagemap_head head;
  head.set_pages_id(pages_id_);
  RETURN_IF_ERROR(image.Add(head));
  for (const Run& run : AllRuns()) {
    image::pagemap_entry entry;
    entry.set_vaddr(run.address.value());
    // Restorers before 4.2 read this field alone; 4.2 takes it.
    if (run.pages <= std::numeric_limits<uint32_t>::max()) {
      entry.set_compat_nr_pages(static_cast<uint32_t>(run.pages));
    } else {
      entry.set_compat_nr_pages(0);
      entry.set_nr_pages(run.pages);
    }
    entry.set_flags(run.flags);
    RETURN_IF_ERROR(image.Add(entry));
  }
  return image;
}

}  // namespace dumpctl
