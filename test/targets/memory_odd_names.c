/* Mapped and open files with names that /proc escapes, or that look like something else. */
#include <sys/stat.h>

#include "test/targets/file_map.h"

static const char* const kNames[] = {"two words",      "new\nline",      "back\\slash",
                                     "back\\012slash", "gone (deleted)", " leads",
                                     "[heap]",         "tab\there",      "\xc3\xa4\xff"};
enum { kCount = sizeof(kNames) / sizeof(kNames[0]), kSize = 4096 };

int main(void) {
  char* areas[kCount];
  int fds[kCount];
  for (int i = 0; i < kCount; ++i) {
    fds[i] = NewFile(kNames[i], kSize, i);
    areas[i] = MapFile(fds[i], kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE, 0);
    areas[i][0] ^= 1;
  }
  Checkpoint();
  for (int i = 0; i < kCount; ++i) {
    areas[i][0] ^= 1;
    ExpectFilled(kNames[i], areas[i], kSize, i);
    struct stat by_name, by_fd;
    EXPECT(stat(kNames[i], &by_name) == 0);
    EXPECT(fstat(fds[i], &by_fd) == 0);
    EXPECT_EQ(by_name.st_ino, by_fd.st_ino);
  }
  Pass();
}
