#include "dump/session/heap.h"

#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstdint>
#include <cstdlib>
#include <memory>

namespace dumpctl {
namespace {

constexpr size_t kHugePage = 2 << 20;
// What glibc puts before a block, and behind the last of them.
constexpr size_t kBlockHead = 16;

uint64_t UpTo(uint64_t unit, uint64_t value) { return (value + unit - 1) / unit * unit; }

// Whole units of what is between the two.
void Advise(uint64_t begin, uint64_t end, uint64_t unit, int advice) {
  begin = UpTo(unit, begin);
  end = end / unit * unit;
  if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, advice);
}

// Linux 5.14. Where it fails the pages come one by one. Huge ones come in a quarter of the time,
// and go in less.
void Populate(uint64_t begin, uint64_t end) {
  Advise(begin, end, kHugePage, MADV_HUGEPAGE);
  Advise(begin, end, static_cast<uint64_t>(sysconf(_SC_PAGESIZE)), MADV_POPULATE_WRITE);
}

// What glibc has behind its last block, where large ones come to lie. None of a sanitizer's heap.
struct Rest {
  uint64_t begin = 0;
  uint64_t end = 0;

  uint64_t size() const { return end - begin; }
};

Rest RestOfHeap() {
  const auto end = reinterpret_cast<uint64_t>(sbrk(0));
  return {end - mallinfo2().keepcost, end};
}

// By so much, or more; not where there is no room for it.
//
// glibc writes behind each block how much is left, and one page that is there keeps a huge one from
// coming. So it is asked for a block that ends about where its memory does.
void Enlarge(size_t rest, size_t bytes) {
  constexpr int kUsualPad = 128 << 10;
  constexpr int kUsualMappings = 65536;
  void* const before = sbrk(0);
  std::unique_ptr<void, decltype(&free)> block(nullptr, free);
  mallopt(M_TOP_PAD, static_cast<int>(bytes));
  mallopt(M_MMAP_MAX, 0);
  // With its head it does not fit into the rest. What was freed between others may have room for
  // it.
  for (size_t size = rest; size <= rest + bytes; size = 2 * size + kBlockHead) {
    block.reset(malloc(size));
    if (block == nullptr || sbrk(0) != before) break;
  }
  mallopt(M_MMAP_MAX, kUsualMappings);
  mallopt(M_TOP_PAD, kUsualPad);
}

// Has the next block begin there, with a huge page: what lies before it is left out, and is never
// touched.
void LeaveOut(uint64_t begin, uint64_t huge) {
  static void* volatile left_out;
  // With its own head, and that of the next.
  left_out = malloc(huge - begin - 2 * kBlockHead);
  (void)left_out;
}

}  // namespace

void ReserveHeap(size_t bytes) {
  // One heap for all threads, for large blocks as well (32 MiB is the most that glibc takes here),
  // and never given back.
  constexpr size_t kLargest = 32 << 20;
  mallopt(M_ARENA_MAX, 1);
  mallopt(M_MMAP_THRESHOLD, kLargest);
  mallopt(M_TRIM_THRESHOLD, INT_MAX);
  if (bytes == 0) return;
  constexpr size_t kMost = 256 << 20;
  bytes = std::min(bytes, kMost);
  if (bytes % kHugePage >= kHugePage / 2) bytes = UpTo(kHugePage, bytes);

  static uint64_t populated;  // up to here, from the rest's beginning on
  const Rest before = RestOfHeap();
  if (before.size() == 0) return;
  const bool is_first = populated <= before.begin;
  if (!is_first && populated - before.begin >= bytes) return;
  if (before.size() < bytes + kHugePage) {
    Enlarge(before.size(), bytes + 2 * kHugePage - before.size());
  }
  const Rest rest = RestOfHeap();
  uint64_t begin = std::max(rest.begin, populated);
  uint64_t end = rest.begin + bytes;
  if (is_first && bytes >= kHugePage && before.size() < kHugePage) {
    // What glibc had before may be written to up to its end.
    begin = UpTo(kHugePage, before.end + 2 * kBlockHead);
    end = begin + bytes;
    if (end <= rest.end) LeaveOut(rest.begin, begin);
  }
  // Where glibc has another place for it the pages come one by one.
  if (end > rest.end) return;
  Populate(begin, end);
  populated = end;
}

}  // namespace dumpctl
