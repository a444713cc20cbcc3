/* Large deleted files of which little takes room: it is the holes that let them be saved, and they
 * stay holes. */
#include <sys/stat.h>

#include "test/targets/target.h"

enum { kPage = 4096, kMega = 1 << 20 };

static void ExpectZeros(int fd, off_t at) {
  char page[kPage];
  EXPECT_EQ(kPage, pread(fd, page, kPage, at));
  for (int i = 0; i < kPage; ++i) EXPECT_EQ(0, page[i]);
}

int main(void) {
  static char piece[3 * kPage];
  Fill(piece, sizeof(piece), 8);
  int fd = REQUIRE_SYSCALL(open("sparse", O_RDWR | O_CREAT, 0600));
  REQUIRE(pwrite(fd, piece, sizeof(piece), 0) == sizeof(piece));
  REQUIRE(pwrite(fd, piece, sizeof(piece), 16 * kMega) == sizeof(piece));
  REQUIRE(pwrite(fd, piece, 10, 48 * kMega) == 10);
  REQUIRE_SYSCALL(ftruncate(fd, 64 * kMega + 5));
  REQUIRE_SYSCALL(unlink("sparse"));
  int hole = REQUIRE_SYSCALL(open("hole", O_RDWR | O_CREAT, 0600));
  REQUIRE_SYSCALL(ftruncate(hole, 8 * kMega));
  REQUIRE_SYSCALL(unlink("hole"));
  struct stat before, after;
  REQUIRE_SYSCALL(fstat(fd, &before));

  Checkpoint();

  EXPECT_EQ(0, fstat(fd, &after));
  EXPECT_EQ(64 * kMega + 5, after.st_size);
  EXPECT(after.st_blocks <= before.st_blocks + 8);
  static char found[sizeof(piece)];
  EXPECT_EQ(sizeof(found), pread(fd, found, sizeof(found), 0));
  EXPECT(memcmp(piece, found, sizeof(found)) == 0);
  EXPECT_EQ(sizeof(found), pread(fd, found, sizeof(found), 16 * kMega));
  EXPECT(memcmp(piece, found, sizeof(found)) == 0);
  EXPECT_EQ(10, pread(fd, found, 10, 48 * kMega));
  EXPECT(memcmp(piece, found, 10) == 0);
  ExpectZeros(fd, sizeof(piece));
  ExpectZeros(fd, 16 * kMega - kPage);
  ExpectZeros(fd, 63 * kMega);
  EXPECT_EQ(0, fstat(hole, &after));
  EXPECT_EQ(8 * kMega, after.st_size);
  EXPECT_EQ(0, after.st_blocks);
  Pass();
}
