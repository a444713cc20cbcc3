/* The auxiliary vector. */
#include <sys/auxv.h>

#include "test/targets/target.h"

enum { kSize = 4096 };

static size_t ReadAuxv(char* buffer) {
  int fd = open("/proc/self/auxv", O_RDONLY);
  REQUIRE(fd >= 0);
  ssize_t size = read(fd, buffer, kSize);
  close(fd);
  REQUIRE(size > 0);
  return size;
}

int main(void) {
  char before[kSize], after[kSize];
  size_t size = ReadAuxv(before);
  unsigned long random = getauxval(AT_RANDOM);
  char random_bytes[16];
  memcpy(random_bytes, (void*)random, 16);
  Checkpoint();
  EXPECT_EQ(size, ReadAuxv(after));
  EXPECT(memcmp(before, after, size) == 0);
  EXPECT(memcmp(random_bytes, (void*)random, 16) == 0);
  Pass();
}
