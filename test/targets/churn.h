/* Memory that is written to, given back, moved and mapped anew without a pause, of which is known
 * at every moment what each page of it has to hold. */
#ifndef TEST_TARGETS_CHURN_H_
#define TEST_TARGETS_CHURN_H_

#include "test/targets/target.h"

enum { kPages = 64, kPageSize = 4096, kAreas = 5 };

typedef struct {
  const char* what;
  char* memory;
  uint64_t seeds[kPages]; /* 0: zeros, or what the file holds */
} Area;

/* The areas, and pages that are written once and never again. */
static Area areas[kAreas] = {{.what = "memory that is written"},
                             {.what = "memory that is given back"},
                             {.what = "memory that is moved"},
                             {.what = "memory that is mapped anew"},
                             {.what = "private memory of a file"}};
static char* still;
static uint64_t round_number;

static uint64_t NewSeed(void) { return 100 + round_number; }

static void* FileBehind(void) {
  int file = open("file", O_RDWR | O_CREAT | O_TRUNC, 0600);
  REQUIRE(file >= 0 && ftruncate(file, kPages * kPageSize) == 0);
  void* memory = mmap(NULL, kPages * kPageSize, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
  REQUIRE(memory != MAP_FAILED);
  close(file);
  return memory;
}

static void Write(Area* area, int page) {
  /* Noted first: a stop in between is no matter, for it goes on from there. */
  area->seeds[page] = NewSeed();
  Fill(area->memory + page * kPageSize, kPageSize, area->seeds[page]);
}

static void GiveBack(Area* area, int page) {
  EXPECT(madvise(area->memory + page * kPageSize, kPageSize, MADV_DONTNEED) == 0);
  area->seeds[page] = 0;
}

static void Step(void) {
  int page = (int)(round_number * 7 % kPages);
  int other = (int)(round_number * 11 % kPages);
  Write(&areas[0], page);
  GiveBack(&areas[1], other);
  Write(&areas[1], page);
  Write(&areas[2], page);
  GiveBack(&areas[4], other);
  if (round_number % 3 == 0) Write(&areas[4], page);
  if (round_number % 16 == 5) {
    void* moved = mremap(areas[2].memory, kPages * kPageSize, kPages * kPageSize,
                         MREMAP_MAYMOVE | MREMAP_FIXED, Map(kPages * kPageSize));
    EXPECT(moved != MAP_FAILED);
    areas[2].memory = moved;
  }
  if (round_number % 16 == 11) {
    /* Another mapping where one was. */
    EXPECT(mmap(areas[3].memory, kPages * kPageSize, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == areas[3].memory);
    memset(areas[3].seeds, 0, sizeof(areas[3].seeds));
  }
  Write(&areas[3], other);
  ++round_number;
}

static void CheckArea(const Area* area) {
  static const char zeros[kPageSize];
  for (int page = 0; page < kPages; ++page) {
    const char* memory = area->memory + page * kPageSize;
    if (area->seeds[page] != 0) {
      ExpectFilled(area->what, memory, kPageSize, area->seeds[page]);
    } else if (memcmp(memory, zeros, kPageSize) != 0) {
      Fail("%s, page %d: it is not zeros", area->what, page);
    }
  }
}

static void CheckAreas(void) {
  for (int i = 0; i < kAreas; ++i) CheckArea(&areas[i]);
  ExpectFilled("memory that is still", still, kPages * kPageSize, 42);
}

static void PrepareAreas(void) {
  still = Map(kPages * kPageSize);
  Fill(still, kPages * kPageSize, 42);
  for (int i = 0; i < kAreas - 1; ++i) areas[i].memory = Map(kPages * kPageSize);
  areas[kAreas - 1].memory = FileBehind();
}

#endif /* TEST_TARGETS_CHURN_H_ */
