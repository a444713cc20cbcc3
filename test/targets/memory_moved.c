/* Memory that is moved without a pause: over other memory that has contents, in exchange with it,
 * away and back, and so that its place stays mapped (MREMAP_DONTUNMAP); by pages, and by whole page
 * tables. Of each page of each place it is known at every moment what it has to hold. */
#include "test/targets/target.h"

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4 /* Linux 5.7 */
#endif

enum { kPageSize = 4096, kPlaces = 8, kMostPages = 512, kAtOnce = 8 };

/* Places that lie side by side, so that the kernel may join and has to part them; each is moved by
 * itself, for mremap(2) takes no two mappings. */
typedef struct {
  const char* what;
  int pages; /* of each place */
  char* memory;
  char* spare;                         /* no memory, but in between */
  uint64_t seeds[kPlaces][kMostPages]; /* 0: zeros */
} Arena;

static Arena arenas[] = {{.what = "memory that is moved by pages", .pages = 16},
                         {.what = "memory that is moved by page tables", .pages = kMostPages}};
static char* still;
static uint64_t next_seed = 1;

static uint64_t Random(uint64_t below) {
  static uint64_t state = 1;
  state = state * 6364136223846793005 + 1442695040888963407;
  return (state >> 33) % below;
}

static size_t SizeOf(const Arena* arena) { return (size_t)arena->pages * kPageSize; }
static char* Place(const Arena* arena, int place) {
  return arena->memory + (size_t)place * SizeOf(arena);
}
static char* Page(const Arena* arena, int place, int page) {
  return Place(arena, place) + (size_t)page * kPageSize;
}

/* Where page tables begin. */
static char* Reserve(size_t size) {
  const size_t table = kMostPages * kPageSize;
  char* at =
      mmap(NULL, size + table, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  REQUIRE(at != MAP_FAILED);
  return at + (table - (uintptr_t)at % table) % table;
}

static void MapAnew(char* at, size_t size) {
  EXPECT(mmap(at, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
         at);
  EXPECT(madvise(at, size, MADV_NOHUGEPAGE) == 0);
}

static void Move(const Arena* arena, char* from, char* to, int flags) {
  const size_t size = SizeOf(arena);
  EXPECT(mremap(from, size, size, MREMAP_MAYMOVE | MREMAP_FIXED | flags, to) == to);
}

static void Write(Arena* arena, int place, int page) {
  /* Noted first: a stop in between is no matter, for it goes on from there. */
  arena->seeds[place][page] = next_seed++;
  Fill(Page(arena, place, page), kPageSize, arena->seeds[place][page]);
}

static void CheckPage(const Arena* arena, int place, int page) {
  static const char zeros[kPageSize];
  const uint64_t seed = arena->seeds[place][page];
  const char* memory = Page(arena, place, page);
  if (seed != 0) {
    ExpectFilled(arena->what, memory, kPageSize, seed);
  } else if (memcmp(memory, zeros, kPageSize) != 0) {
    Fail("%s, page %d of place %d: it is not zeros", arena->what, page, place);
  }
}

static void TakeOver(Arena* arena, int from, int to) {
  memcpy(arena->seeds[to], arena->seeds[from], sizeof arena->seeds[to]);
  memset(arena->seeds[from], 0, sizeof arena->seeds[from]);
}

static void Exchange(Arena* arena, int one, int other) {
  Move(arena, Place(arena, one), arena->spare, 0);
  Move(arena, Place(arena, other), Place(arena, one), 0);
  Move(arena, arena->spare, Place(arena, other), 0);
  uint64_t seeds[kMostPages];
  memcpy(seeds, arena->seeds[one], sizeof seeds);
  memcpy(arena->seeds[one], arena->seeds[other], sizeof seeds);
  memcpy(arena->seeds[other], seeds, sizeof seeds);
}

static void Step(Arena* arena) {
  const int one = (int)Random(kPlaces);
  const int other = (one + 1 + (int)Random(kPlaces - 1)) % kPlaces;
  switch (Random(16)) {
    case 0:
      Move(arena, Place(arena, one), Place(arena, other), 0);
      MapAnew(Place(arena, one), SizeOf(arena));
      TakeOver(arena, one, other);
      break;
    case 1:
      Move(arena, Place(arena, one), Place(arena, other), MREMAP_DONTUNMAP);
      TakeOver(arena, one, other);
      break;
    case 2:
      Move(arena, Place(arena, one), arena->spare, 0);
      Move(arena, arena->spare, Place(arena, one), 0);
      break;
    case 3:
    case 4:
    case 5:
      Exchange(arena, one, other);
      break;
    default:
      for (int i = 0; i < kAtOnce; ++i) Write(arena, one, (int)Random((uint64_t)arena->pages));
  }
  CheckPage(arena, other, (int)Random((uint64_t)arena->pages));
}

static void CheckAll(const Arena* arena) {
  for (int place = 0; place < kPlaces; ++place) {
    for (int page = 0; page < arena->pages; ++page) CheckPage(arena, place, page);
  }
}

static void Prepare(Arena* arena) {
  const size_t size = kPlaces * SizeOf(arena);
  arena->memory = Reserve(size);
  arena->spare = Reserve(SizeOf(arena));
  MapAnew(arena->memory, size);
  for (int place = 0; place < kPlaces; ++place) {
    for (int page = 0; page < arena->pages; ++page) Write(arena, place, page);
  }
}

enum { kStill = 2048 * kPageSize };

int main(void) {
  /* By itself: what the kernel joins with new mappings is written anew. */
  still = Reserve(kStill);
  MapAnew(still, kStill);
  Fill(still, kStill, 1);
  for (int i = 0; i < 2; ++i) Prepare(&arenas[i]);
  Ready();
  while (access("go", R_OK) != 0) {
    for (int i = 0; i < 2; ++i) Step(&arenas[i]);
    SleepMs(1);
  }
  for (int i = 0; i < 2; ++i) CheckAll(&arenas[i]);
  ExpectFilled("memory that is still", still, kStill, 1);
  Pass();
}
