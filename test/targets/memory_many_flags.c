/* Every flag that a mapping has and keeps, among so many mappings that a dump does
 * not ask smaps. */
#include "test/targets/target.h"

enum { kPage = 4096, kVmas = 1700 };

typedef struct {
  const char* flag;
  int map_flags;
  int advice;
  bool locked;
} State;

static const State kStates[] = {
    {"dc", 0, MADV_DONTFORK, false},
    {"wf", 0, MADV_WIPEONFORK, false},
    {"hg", 0, MADV_HUGEPAGE, false},
    {"nh", 0, MADV_NOHUGEPAGE, false},
    {"dd", 0, MADV_DONTDUMP, false},
    {"sr", 0, MADV_SEQUENTIAL, false},
    {"rr", 0, MADV_RANDOM, false},
    {"mg", 0, MADV_MERGEABLE, false},
    {"nr", MAP_NORESERVE, -1, false},
    {"gd", MAP_GROWSDOWN, -1, false},
    {"lo", 0, -1, true},
    {"nr", MAP_NORESERVE, MADV_RANDOM, true},
    {"lo", MAP_NORESERVE, MADV_DONTFORK, true},
};
enum { kStateCount = sizeof(kStates) / sizeof(kStates[0]) };

static char* MapState(const State* state) {
  char* area = mmap(NULL, kPage, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | state->map_flags, -1, 0);
  REQUIRE(area != MAP_FAILED);
  if (state->locked) REQUIRE(mlock(area, kPage) == 0);
  return area;
}

int main(void) {
  char* areas[kStateCount];
  bool taken[kStateCount];
  for (int i = 0; i < kStateCount; ++i) {
    areas[i] = MapState(&kStates[i]);
    Fill(areas[i], kPage, i);
    /* Fails where the kernel was built without it. */
    taken[i] = kStates[i].advice < 0 || madvise(areas[i], kPage, kStates[i].advice) == 0;
  }
  char* many = Map(kVmas * kPage);
  for (int i = 0; i < kVmas; i += 2) {
    REQUIRE(mprotect(many + i * kPage, kPage, PROT_READ) == 0);
  }
  Checkpoint();
  for (int i = 0; i < kStateCount; ++i) {
    if (HasVmFlag(areas[i], kStates[i].flag) != taken[i]) {
      Fail("%s of area %d is %s", kStates[i].flag, i, taken[i] ? "lost" : "new");
    }
    ExpectFilled("content", areas[i], kPage, i);
  }
  const char* plain = SmapsField(many, "VmFlags");
  for (int i = 0; i < kStateCount; ++i) {
    if (strstr(plain, kStates[i].flag)) Fail("%s is on plain memory", kStates[i].flag);
  }
  Pass();
}
