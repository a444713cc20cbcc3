#ifndef DUMP_IMAGE_PAGE_RUN_H_
#define DUMP_IMAGE_PAGE_RUN_H_

#include <cstdint>
#include <span>

#include "dumpctl/remote_address.h"

namespace dumpctl {

inline constexpr uint64_t kImagePageSize = 4096;

// Pages of a task that lie one behind the other, kImagePageSize each.
struct PageRun {
  RemoteAddress start;
  uint64_t pages = 0;

  uint64_t bytes() const { return pages * kImagePageSize; }
  RemoteAddress end() const { return start + bytes(); }
  friend bool operator==(const PageRun&, const PageRun&) = default;
};

// In all of them.
inline uint64_t PagesOf(std::span<const PageRun> runs) {
  uint64_t pages = 0;
  for (const PageRun& run : runs) pages += run.pages;
  return pages;
}
inline uint64_t BytesOf(std::span<const PageRun> runs) { return PagesOf(runs) * kImagePageSize; }

}  // namespace dumpctl

#endif  // DUMP_IMAGE_PAGE_RUN_H_
