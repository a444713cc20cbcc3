/* A file with known content, to be mapped. */
#ifndef TEST_TARGETS_FILE_MAP_H_
#define TEST_TARGETS_FILE_MAP_H_

#include "test/targets/target.h"

/* A new file of `size` bytes, Fill()ed with `seed`, open read-write. */
static inline int NewFile(const char* name, size_t size, uint64_t seed) {
  int fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  REQUIRE(fd >= 0);
  char* content = Map(size);
  Fill(content, size, seed);
  REQUIRE(write(fd, content, size) == (ssize_t)size);
  munmap(content, size);
  return fd;
}

static inline char* MapFile(int fd, size_t size, int protection, int flags, off_t offset) {
  char* area = mmap(NULL, size, protection, flags, fd, offset);
  REQUIRE(area != MAP_FAILED);
  return area;
}

#endif /* TEST_TARGETS_FILE_MAP_H_ */
