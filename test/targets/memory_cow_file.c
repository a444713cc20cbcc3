/* A private file mapping of which some pages were written: those are its own, the rest the file's.
 */
#include "test/targets/file_map.h"

enum { kPage = 4096, kPages = 32 };

int main(void) {
  int fd = NewFile("mapped", kPages * kPage, 0);
  char original[kPage];
  char* area = MapFile(fd, kPages * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE, 0);
  for (int i = 0; i < kPages; i += 3) Fill(area + i * kPage, kPage, 100 + i);
  Checkpoint();
  for (int i = 0; i < kPages; ++i) {
    if (i % 3 == 0) {
      ExpectFilled("written page", area + i * kPage, kPage, 100 + i);
    }
    EXPECT_EQ(kPage, pread(fd, original, kPage, i * kPage));
    if (i % 3 != 0) EXPECT(memcmp(area + i * kPage, original, kPage) == 0);
  }
  /* The file itself was never written. */
  char* fresh = MapFile(fd, kPages * kPage, PROT_READ, MAP_PRIVATE, 0);
  ExpectFilled("file", fresh, kPages * kPage, 0);
  /* A page not yet written still follows the file. */
  EXPECT_EQ(3, pwrite(fd, "new", 3, kPage));
  EXPECT(memcmp(area + kPage, "new", 3) == 0);
  Pass();
}
