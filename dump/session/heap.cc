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

// Where the next blocks are to lie.
struct Rest {
  uint64_t begin = 0;
  uint64_t written = 0;  // up to where glibc has written to it
  uint64_t end = 0;
};

// So much of it, or more.
//
// glibc writes behind each block how much is left. So it is asked for no block as large as that:
// one page that is there keeps a huge one from coming.
Rest TakeRest(size_t bytes) {
  constexpr int kUsualPad = 128 << 10;
  constexpr size_t kMostAsked = 1 << 20;
  void* const before = sbrk(0);
  std::unique_ptr<void, decltype(&free)> next(nullptr, free);
  mallopt(M_TOP_PAD, static_cast<int>(bytes + kHugePage));
  // With its head it does not fit into what is left behind the last block. What was freed between
  // others may have room for it.
  size_t size = mallinfo2().keepcost;
  do {
    next.reset(malloc(size));
    size = 2 * size + kBlockHead;
  } while (sbrk(0) == before && size < kMostAsked);
  mallopt(M_TOP_PAD, kUsualPad);
  const auto begin = reinterpret_cast<uint64_t>(next.get());
  return {.begin = begin,
          .written = begin + malloc_usable_size(next.get()) + kBlockHead,
          .end = reinterpret_cast<uint64_t>(sbrk(0))};
}

// Has the next block begin with a huge page. What lies before it is left out, and is never touched;
// where that is more than a huge page, it has been reserved before, and is not.
uint64_t BeginOfHuge(const Rest& rest) {
  const uint64_t huge = UpTo(kHugePage, rest.written);
  if (rest.written - rest.begin >= kHugePage || huge >= rest.end) return rest.begin;
  static void* volatile left_out;
  left_out = malloc(huge - rest.begin - kBlockHead);
  (void)left_out;
  return huge;
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
  const Rest rest = TakeRest(bytes);
  const uint64_t begin = bytes >= kHugePage ? BeginOfHuge(rest) : rest.begin;
  // Where glibc had another place the pages come one by one.
  if (begin < rest.end && rest.end - begin >= bytes) Populate(begin, begin + bytes);
}

}  // namespace dumpctl
