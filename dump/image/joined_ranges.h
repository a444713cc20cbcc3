#ifndef DUMP_IMAGE_JOINED_RANGES_H_
#define DUMP_IMAGE_JOINED_RANGES_H_

#include <algorithm>
#include <vector>

namespace dumpctl {

// Adds a range [start, end) to ascending ones, none of which touches the next; it begins no sooner
// than the last of them.
template <typename Range>
void JoinRange(const Range& range, std::vector<Range>& ranges) {
  if (!ranges.empty() && range.start <= ranges.back().end) {
    ranges.back().end = std::max(ranges.back().end, range.end);
  } else {
    ranges.push_back(range);
  }
}

}  // namespace dumpctl

#endif  // DUMP_IMAGE_JOINED_RANGES_H_
