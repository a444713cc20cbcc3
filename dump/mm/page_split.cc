#include "dump/mm/page_split.h"

#include <algorithm>

namespace dumpctl {
namespace {

void Append(RemoteAddress start, RemoteAddress end, std::vector<PageRun>& runs) {
  const uint64_t pages = (end - start) / kImagePageSize;
  if (!runs.empty() && runs.back().end() == start) {
    runs.back().pages += pages;
  } else {
    runs.push_back({start, pages});
  }
}

RemoteAddress StartOf(const PageRun& run) { return run.start; }
RemoteAddress EndOf(const PageRun& run) { return run.end(); }
RemoteAddress StartOf(const AddressRange& range) { return range.start; }
RemoteAddress EndOf(const AddressRange& range) { return range.end; }

// One list, walked along with ascending addresses.
template <typename Range>
class Along {
 public:
  explicit Along(std::span<const Range> ranges) : ranges_(ranges) {}

  // Whether `at` is in one of them.
  bool Holds(RemoteAddress at) {
    while (next_ < ranges_.size() && EndOf(ranges_[next_]) <= at) ++next_;
    return next_ < ranges_.size() && StartOf(ranges_[next_]) <= at;
  }
  // Where that changes next, `end` at most. After Holds.
  RemoteAddress Until(RemoteAddress at, RemoteAddress end) const {
    if (next_ == ranges_.size()) return end;
    const bool inside = StartOf(ranges_[next_]) <= at;
    return std::min(end, inside ? EndOf(ranges_[next_]) : StartOf(ranges_[next_]));
  }

 private:
  std::span<const Range> ranges_;
  size_t next_ = 0;
};

}  // namespace

SplitPages SplitByParent(std::span<const PageRun> pages, std::span<const AddressRange> dirty,
                         std::span<const PageRun> parent) {
  SplitPages split;
  Along along_dirty(dirty);
  Along along_parent(parent);
  for (const PageRun& run : pages) {
    for (RemoteAddress at = run.start; at < run.end();) {
      const bool is_dirty = along_dirty.Holds(at);
      const bool saved = along_parent.Holds(at);
      const RemoteAddress end = along_parent.Until(at, along_dirty.Until(at, run.end()));
      Append(at, end, saved && !is_dirty ? split.in_parent : split.written);
      at = end;
    }
  }
  return split;
}

}  // namespace dumpctl
