/* A shared file mapping: what is written there is in the file, before and after. */
#include "test/targets/file_map.h"

enum { kSize = 16 * 4096 };

int main(void) {
  int fd = NewFile("shared", kSize, 1);
  char* area = MapFile(fd, kSize, PROT_READ | PROT_WRITE, MAP_SHARED, 0);
  char* read_only = MapFile(fd, kSize / 2, PROT_READ, MAP_SHARED, kSize / 2);
  Fill(area, kSize, 2);
  Checkpoint();
  ExpectFilled("shared mapping", area, kSize, 2);
  area[kSize - 1] = 'x';
  EXPECT_EQ('x', read_only[kSize / 2 - 1]);
  char byte = 0;
  EXPECT_EQ(1, pread(fd, &byte, 1, kSize - 1));
  EXPECT_EQ('x', byte);
  EXPECT_EQ(1, pwrite(fd, "y", 1, 0));
  EXPECT_EQ('y', area[0]);
  EXPECT(HasVmFlag(read_only, "mw"));
  Pass();
}
