/* The vdso and its data elsewhere than the kernel put them. */
#include <elf.h>

#include "test/targets/target.h"

static char* Find(const char* name, size_t* size) {
  FILE* maps = fopen("/proc/self/maps", "r");
  REQUIRE(maps != NULL);
  char line[512];
  unsigned long start = 0, end = 0;
  *size = 0;
  char* found = NULL;
  while (fgets(line, sizeof line, maps)) {
    if (strstr(line, name) == NULL || sscanf(line, "%lx-%lx", &start, &end) != 2) continue;
    if (found == NULL) found = (char*)start;
    *size = end - (unsigned long)found;
  }
  fclose(maps);
  return found;
}

/* The vdso's own function, wherever that is: the C library knows of the old place alone. */
static int ByVdso(const char* vdso, struct timespec* now) {
  const Elf64_Ehdr* head = (const Elf64_Ehdr*)vdso;
  const Elf64_Phdr* segment = (const Elf64_Phdr*)(vdso + head->e_phoff);
  while (segment->p_type != PT_DYNAMIC) ++segment;
  const Elf64_Sym* symbol = NULL;
  const char* names = NULL;
  const Elf64_Dyn* entry = (const Elf64_Dyn*)(vdso + segment->p_offset);
  for (; entry->d_tag != DT_NULL; ++entry) {
    /* Relative to the image's start, which is at 0 in its own sight. */
    if (entry->d_tag == DT_SYMTAB) symbol = (const Elf64_Sym*)(vdso + entry->d_un.d_ptr);
    if (entry->d_tag == DT_STRTAB) names = vdso + entry->d_un.d_ptr;
  }
  /* Names follow symbols. */
  for (; (const char*)symbol < names; ++symbol) {
    if (strcmp(names + symbol->st_name, "__vdso_clock_gettime") != 0) continue;
    int (*gettime)(clockid_t, struct timespec*) = (void*)(vdso + symbol->st_value);
    return gettime(CLOCK_MONOTONIC, now);
  }
  return -1;
}

int main(void) {
  size_t data_size, code_size;
  char* data = Find("[vvar", &data_size);
  char* code = Find("[vdso]", &code_size);
  if (data == NULL || code == NULL) Skip("no vdso");
  char* room = mmap(NULL, data_size + code_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(room != MAP_FAILED);
  /* Linux 6.13 has the data in two mappings. */
  size_t first = data_size;
  size_t clock_size;
  char* clock = Find("[vvar_vclock]", &clock_size);
  if (clock != NULL) first = (size_t)(clock - data);
  const int kTo = MREMAP_MAYMOVE | MREMAP_FIXED;
  REQUIRE(mremap(data, first, first, kTo, room) == room);
  if (clock != NULL) {
    REQUIRE(mremap(clock, clock_size, clock_size, kTo, room + first) == room + first);
  }
  REQUIRE(mremap(code, code_size, code_size, kTo, room + data_size) == room + data_size);
  struct timespec before, after;
  REQUIRE(ByVdso(room + data_size, &before) == 0);
  Checkpoint();
  size_t size;
  EXPECT(Find("[vdso]", &size) == room + data_size);
  EXPECT_EQ(code_size, size);
  EXPECT_EQ(0, ByVdso(room + data_size, &after));
  EXPECT(after.tv_sec >= before.tv_sec);
  Pass();
}
