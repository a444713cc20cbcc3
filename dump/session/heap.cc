#include "dump/session/heap.h"

#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstdint>
#include <cstdlib>
#include <vector>

namespace dumpctl {
namespace {

// What there is of a block in whole units of so many bytes.
void Advise(void* block, size_t size, uint64_t unit, int advice) {
  const uint64_t begin = (reinterpret_cast<uint64_t>(block) + unit - 1) / unit * unit;
  const uint64_t end = (reinterpret_cast<uint64_t>(block) + size) / unit * unit;
  if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, advice);
}

constexpr size_t kHugePage = 2 << 20;
// What glibc puts before a block, which is a part of what was asked for here.
constexpr size_t kBlockHead = 16;

// Linux 5.14. Where it fails the pages come one by one. Huge ones come in a quarter of the time,
// and go in less.
void Populate(void* block, size_t size) {
  Advise(block, size, kHugePage, MADV_HUGEPAGE);
  Advise(block, size, static_cast<uint64_t>(sysconf(_SC_PAGESIZE)), MADV_POPULATE_WRITE);
}

// Has the next large block begin with a huge page: what lies before that is left out, and is never
// touched. Should glibc put the block elsewhere, small pages do.
void LeaveOutPart() {
#if !defined(__SANITIZE_ADDRESS__)
  void* const next = malloc(2 * kHugePage);
  const size_t gap = kHugePage - reinterpret_cast<uint64_t>(next) % kHugePage;
  free(next);
  static void* volatile left_out;
  if (gap < kHugePage && gap > 2 * kBlockHead) left_out = malloc(gap - kBlockHead);
  (void)left_out;
#endif
}

}  // namespace

void ReserveHeap(size_t bytes) {
  // One heap for all threads, for large blocks as well (32 MiB is the most that glibc takes here),
  // and never given back.
  constexpr size_t kLargest = 32 << 20;
  mallopt(M_ARENA_MAX, 1);
  mallopt(M_MMAP_THRESHOLD, kLargest);
  mallopt(M_TRIM_THRESHOLD, INT_MAX);
  // What is larger would be a mapping of its own, and gone when it is freed.
  constexpr size_t kBlock = kLargest / 2;
  constexpr size_t kMost = 256 << 20;
  std::vector<void*> blocks;
  size_t left = std::min(bytes, kMost);
  if (left >= kHugePage / 2) LeaveOutPart();
  if (left % kHugePage >= kHugePage / 2) left += kHugePage - left % kHugePage;
  for (; left > 0; left -= std::min(left, kBlock)) {
    const size_t size = std::min(left, kBlock);
    void* const block = malloc(size - std::min(size, kBlockHead));
    if (block == nullptr) break;
    Populate(block, size);
    blocks.push_back(block);
  }
  for (void* const block : blocks) free(block);
}

}  // namespace dumpctl
