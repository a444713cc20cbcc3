/* Regular files: access, status flags, offsets, content. */
#include <sys/stat.h>

#include "test/targets/file_map.h"

typedef struct {
  int flags, offset;
} Open;

static const Open kOpens[] = {{O_RDONLY, 0},
                              {O_RDONLY, 4095},
                              {O_RDWR, 123},
                              {O_WRONLY, 77},
                              {O_WRONLY | O_APPEND, 8192},
                              {O_RDWR | O_NONBLOCK, 5},
                              {O_RDWR | O_SYNC, 6},
                              {O_RDWR | O_DSYNC, 7},
                              {O_RDONLY | O_DIRECT, 4096},
                              {O_RDWR | O_NOATIME, 9},
                              {O_RDWR, 1 << 30}};
enum { kCount = sizeof(kOpens) / sizeof(kOpens[0]), kSize = 8192 };

int main(void) {
  close(NewFile("file", kSize, 18));
  int fds[kCount], flags[kCount];
  for (int i = 0; i < kCount; ++i) {
    fds[i] = REQUIRE_SYSCALL(open("file", kOpens[i].flags));
    REQUIRE(lseek(fds[i], kOpens[i].offset, SEEK_SET) == kOpens[i].offset);
    flags[i] = fcntl(fds[i], F_GETFL);
  }
  Checkpoint();
  struct stat status, first;
  EXPECT(stat("file", &first) == 0);
  EXPECT_EQ(kSize, first.st_size);
  for (int i = 0; i < kCount; ++i) {
    EXPECT_EQ(flags[i], fcntl(fds[i], F_GETFL));
    EXPECT_EQ(kOpens[i].offset, lseek(fds[i], 0, SEEK_CUR));
    EXPECT(fstat(fds[i], &status) == 0);
    EXPECT_EQ(first.st_ino, status.st_ino);
  }
  /* An append goes to the end, wherever the offset was. */
  EXPECT_EQ(4, write(fds[4], "tail", 4));
  EXPECT_EQ(kSize + 4, lseek(fds[4], 0, SEEK_CUR));
  Pass();
}
