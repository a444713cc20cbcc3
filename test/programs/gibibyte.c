/* A process with 1 GiB of data, or as many MiB as its argument says: half of it in pages of 4 KiB,
 * with holes that were never written and pages that were given back in between, half as the kernel
 * likes (transparent huge pages). */
#include "test/targets/target.h"

enum { kPage = 4096 };
static size_t half = 512ul << 20;

static uint64_t Word(uintptr_t address) {
  uint64_t word = (address ^ 0x9e3779b97f4a7c15) * 0xff51afd7ed558ccd;
  return word ^ (word >> 33);
}

static uint64_t Crc(uint64_t crc, uint64_t word) { return __builtin_ia32_crc32di(crc, word); }

/* What each page of the first half is. */
typedef enum { kWritten, kNeverWritten, kGivenBack, kOneByte } Fate;

static Fate FateOf(size_t page) {
  if (page % 97 == 13) return kNeverWritten;
  if (page % 101 == 7) return kGivenBack;
  return page % 103 == 5 ? kOneByte : kWritten;
}

static void FillPage(char* page) {
  for (size_t at = 0; at < kPage; at += 8) {
    *(uint64_t*)(page + at) = Word((uintptr_t)page + at);
  }
}

static uint64_t CheckPage(const char* page, Fate fate, uint64_t crc) {
  for (size_t at = 0; at < kPage; at += 8) {
    const uint64_t word = *(const uint64_t*)(page + at);
    uint64_t expected = fate == kWritten ? Word((uintptr_t)page + at) : 0;
    if (fate == kOneByte && at == kPage - 8) expected = 0x5aull << 56;
    if (word != expected) Fail("%p: expected %#lx, got %#lx", page + at, expected, word);
    crc = Crc(crc, word);
  }
  return crc;
}

static uint64_t CheckAll(const char* small, const char* large) {
  uint64_t crc = 0;
  for (size_t page = 0; page < half / kPage; ++page) {
    crc = CheckPage(small + page * kPage, FateOf(page), crc);
    crc = CheckPage(large + page * kPage, kWritten, crc);
  }
  return crc;
}

int main(int argc, char** argv) {
  if (argc > 1) half = strtoul(argv[1], NULL, 10) / 2 << 20;
  char* small = Map(half);
  char* large = Map(half);
  REQUIRE_SYSCALL(madvise(small, half, MADV_NOHUGEPAGE));
  REQUIRE_SYSCALL(madvise(large, half, MADV_HUGEPAGE));
  for (size_t page = 0; page < half / kPage; ++page) {
    FillPage(large + page * kPage);
    const Fate fate = FateOf(page);
    if (fate == kNeverWritten) continue;
    if (fate == kOneByte) {
      small[page * kPage + kPage - 1] = 0x5a;
      continue;
    }
    FillPage(small + page * kPage);
    if (fate == kGivenBack) REQUIRE_SYSCALL(madvise(small + page * kPage, kPage, MADV_DONTNEED));
  }
  /* Not checked before: reading would bring zero pages where nothing was written. */
  uint64_t expected = 0;
  for (size_t page = 0; page < half / kPage; ++page) {
    const Fate fate = FateOf(page);
    for (size_t at = 0; at < kPage; at += 8) {
      uint64_t word = fate == kWritten ? Word((uintptr_t)small + page * kPage + at) : 0;
      if (fate == kOneByte && at == kPage - 8) word = 0x5aull << 56;
      expected = Crc(expected, word);
    }
    for (size_t at = 0; at < kPage; at += 8) {
      expected = Crc(expected, Word((uintptr_t)large + page * kPage + at));
    }
  }
  Checkpoint();
  const uint64_t found = CheckAll(small, large);
  EXPECT_EQ(expected, found);
  Pass();
}
