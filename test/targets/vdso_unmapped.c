/* A program that has unmapped its vdso. */
#include "test/targets/target.h"

static void Unmap(const char* name) {
  FILE* maps = fopen("/proc/self/maps", "r");
  REQUIRE(maps != NULL);
  char line[512];
  unsigned long start = 0, end = 0;
  while (fgets(line, sizeof line, maps)) {
    if (strstr(line, name) != NULL && sscanf(line, "%lx-%lx", &start, &end) == 2) break;
    start = end = 0;
  }
  fclose(maps);
  if (end != 0) REQUIRE_SYSCALL(munmap((void*)start, end - start));
}

int main(void) {
  Unmap("[vdso]");
  Unmap("[vvar]");
  Unmap("[vvar_vclock]");
  Checkpoint();
  /* A restore may bring one, as every program has. */
  Pass();
}
