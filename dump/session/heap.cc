#include "dump/session/heap.h"

#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <climits>
#include <cstdint>
#include <cstdlib>

namespace dumpctl {

void ReserveHeap(size_t bytes) {
  // One heap for all threads, for large blocks as well (32 MiB is the most that glibc takes here),
  // and never given back.
  mallopt(M_ARENA_MAX, 1);
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, INT_MAX);
  void* const block = malloc(bytes);
  if (block == nullptr) return;
  const auto page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  const uint64_t begin = (reinterpret_cast<uint64_t>(block) + page - 1) / page * page;
  const uint64_t end = (reinterpret_cast<uint64_t>(block) + bytes) / page * page;
  // Linux 5.14. Where it fails the pages come one by one.
  if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_POPULATE_WRITE);
  free(block);
}

}  // namespace dumpctl
