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

// Linux 5.14. Where it fails the pages come one by one.
void Populate(void* block, size_t size) {
  const auto page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  const uint64_t begin = (reinterpret_cast<uint64_t>(block) + page - 1) / page * page;
  const uint64_t end = (reinterpret_cast<uint64_t>(block) + size) / page * page;
  if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_POPULATE_WRITE);
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
  for (size_t left = std::min(bytes, kMost); left > 0; left -= std::min(left, kBlock)) {
    const size_t size = std::min(left, kBlock);
    void* const block = malloc(size);
    if (block == nullptr) break;
    Populate(block, size);
    blocks.push_back(block);
  }
  for (void* const block : blocks) free(block);
}

}  // namespace dumpctl
