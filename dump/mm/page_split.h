#ifndef DUMP_MM_PAGE_SPLIT_H_
#define DUMP_MM_PAGE_SPLIT_H_

#include <span>
#include <vector>

#include "dump/image/page_run.h"
#include "dumpctl/remote_address.h"

namespace dumpctl {

// Addresses [start, end).
struct AddressRange {
  RemoteAddress start;
  RemoteAddress end;
  friend bool operator==(const AddressRange&, const AddressRange&) = default;
};

// The pages of a task, in those that have to be written and those that stand in its parent images
// as they are. Both ascending.
struct SplitPages {
  std::vector<PageRun> written;
  std::vector<PageRun> in_parent;
};

// `pages`: what has content. `dirty`: what may have been written since the parent images were made,
// or of which nobody knows. `parent`: what these hold. All ascending, none overlapping another of
// its list. Only what the parent holds, and nobody can have written, is left to it.
SplitPages SplitByParent(std::span<const PageRun> pages, std::span<const AddressRange> dirty,
                         std::span<const PageRun> parent);

}  // namespace dumpctl

#endif  // DUMP_MM_PAGE_SPLIT_H_
