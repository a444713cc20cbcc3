/* One file mapped many times in a row, at several offsets and with several permissions. */
#include "test/targets/file_map.h"

enum { kPage = 4096, kPages = 24 };

int main(void) {
  int fd = NewFile("many", kPages * kPage, 4);
  static const int kProtections[] = {PROT_READ, PROT_READ | PROT_WRITE, PROT_READ | PROT_EXEC};
  static const char* const kTexts[] = {" r--p ", " rw-p ", " r-xp "};
  char* area = Map(kPages * kPage);
  for (int i = 0; i < kPages; ++i) {
    /* Backwards, so that no two of them merge. */
    REQUIRE(mmap(area + i * kPage, kPage, kProtections[i % 3], MAP_PRIVATE | MAP_FIXED, fd,
                 (kPages - 1 - i) * kPage) == area + i * kPage);
  }
  close(fd);
  Checkpoint();
  fd = open("many", O_RDONLY);
  EXPECT(fd >= 0);
  for (int i = 0; i < kPages; ++i) {
    char content[kPage];
    EXPECT_EQ(kPage, pread(fd, content, kPage, (kPages - 1 - i) * kPage));
    EXPECT(memcmp(content, area + i * kPage, kPage) == 0);
    EXPECT(strstr(SmapsField(area + i * kPage, "maps"), kTexts[i % 3]) != NULL);
  }
  Pass();
}
