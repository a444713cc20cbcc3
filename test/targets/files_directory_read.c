/* A directory of which some of the entries have been read: the others come next, each once. */
#include <dirent.h>
#include <sys/stat.h>

#include "test/targets/target.h"

enum { kEntries = 600 };

static char seen[kEntries];

/* The number of entries that one call gave; each had not been seen. */
static int ReadSome(int fd) {
  char buffer[4096];
  long got = syscall(SYS_getdents64, fd, buffer, sizeof(buffer));
  EXPECT(got >= 0);
  int entries = 0;
  for (long at = 0; at < got; ++entries) {
    struct dirent64* entry = (struct dirent64*)(buffer + at);
    at += entry->d_reclen;
    if (entry->d_name[0] == '.') continue;
    EXPECT_EQ(0, seen[atoi(entry->d_name)]++);
  }
  return entries;
}

int main(void) {
  REQUIRE_SYSCALL(mkdir("dir", 0755));
  for (int i = 0; i < kEntries; ++i) {
    char name[32];
    snprintf(name, sizeof(name), "dir/%d", i);
    close(REQUIRE_SYSCALL(open(name, O_RDWR | O_CREAT, 0600)));
  }
  int fd = REQUIRE_SYSCALL(open("dir", O_RDONLY | O_DIRECTORY));
  REQUIRE(ReadSome(fd) > 0);
  REQUIRE(ReadSome(fd) < kEntries / 2);

  Checkpoint();

  while (ReadSome(fd) > 0) continue;
  for (int i = 0; i < kEntries; ++i) EXPECT_EQ(1, seen[i]);
  Pass();
}
