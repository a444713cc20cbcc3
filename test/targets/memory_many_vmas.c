/* Two thousand mappings, and half as many of two files, each mapped twice, one of which has no name
 * any more. A few pages of these were written. */
#include "test/targets/file_map.h"

enum { kPage = 4096, kVmas = 2000, kFilePages = 250 };

static bool IsWritten(int page) { return page % 90 == 7 || page / 5 == 40; }

static char* MapInParts(int fd) {
  char* area = MapFile(fd, kFilePages * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE, 0);
  for (int i = 0; i < kFilePages; ++i) {
    if (IsWritten(i)) Fill(area + i * kPage, kPage, 5000 + i);
    REQUIRE(mprotect(area + i * kPage, kPage, i % 2 ? PROT_READ : PROT_READ | PROT_WRITE) == 0);
  }
  return area;
}

static void ExpectFileInParts(int fd, const char* area) {
  char original[kPage];
  for (int i = 0; i < kFilePages; ++i) {
    if (IsWritten(i)) {
      ExpectFilled("written page", area + i * kPage, kPage, 5000 + i);
      continue;
    }
    EXPECT_EQ(kPage, pread(fd, original, kPage, (off_t)i * kPage));
    EXPECT(memcmp(area + i * kPage, original, kPage) == 0);
  }
}

int main(void) {
  int named = NewFile("named", kFilePages * kPage, 10);
  int nameless = NewFile("nameless", kFilePages * kPage, 20);
  char* of_files[] = {MapInParts(named), MapInParts(nameless), MapInParts(named),
                      MapInParts(nameless)};
  REQUIRE(unlink("nameless") == 0);
  char* area = Map(kVmas * kPage);
  for (int i = 0; i < kVmas; ++i) {
    if (i % 5 == 0) Fill(area + i * kPage, kPage, i);
    REQUIRE(mprotect(area + i * kPage, kPage, i % 2 ? PROT_READ : PROT_READ | PROT_WRITE) == 0);
  }
  Checkpoint();
  int found = 0;
  for (const char* line = ReadText("/proc/self/maps"); line; line = strchr(line, '\n')) {
    if (*line == '\n') ++line;
    unsigned long start, end;
    char permissions[5];
    if (sscanf(line, "%lx-%lx %4s", &start, &end, permissions) != 3) break;
    for (unsigned long page = start; page < end; page += kPage) {
      long i = ((long)page - (long)area) / kPage;
      if ((long)page < (long)area || i >= kVmas) continue;
      EXPECT_STREQ(i % 2 ? "r--p" : "rw-p", permissions);
      ++found;
    }
  }
  EXPECT_EQ(kVmas, found);
  for (int i = 0; i < kVmas; i += 5) ExpectFilled("page", area + i * kPage, kPage, i);
  for (int i = 0; i < 4; ++i) ExpectFileInParts(i % 2 ? nameless : named, of_files[i]);
  Pass();
}
