/* Anonymous private memory: written pages, pages written with zeros, read ones, untouched ones. */
#include "test/targets/target.h"

enum { kPage = 4096, kPages = 64 };

int main(void) {
  char* area = Map(kPages * kPage);
  char sink = 0;
  for (int i = 0; i < kPages; ++i) {
    char* page = area + i * kPage;
    if (i % 4 == 0) Fill(page, kPage, i);
    if (i % 4 == 1) memset(page, 0, kPage);
    if (i % 4 == 2) sink = (char)(sink + *(volatile char*)page);
  }
  mprotect(area + 8 * kPage, kPage, PROT_READ);
  mprotect(area + 12 * kPage, kPage, PROT_READ | PROT_WRITE | PROT_EXEC);
  static const char kZeros[kPage];
  Checkpoint();
  EXPECT(strstr(SmapsField(area + 8 * kPage, "maps"), " r--p ") != NULL);
  EXPECT(strstr(SmapsField(area + 12 * kPage, "maps"), " rwxp ") != NULL);
  EXPECT(strstr(SmapsField(area, "maps"), " rw-p ") != NULL);
  for (int i = 0; i < kPages; ++i) {
    if (i % 4 == 0) {
      ExpectFilled("page", area + i * kPage, kPage, i);
    } else {
      EXPECT(memcmp(area + i * kPage, kZeros, kPage) == 0);
    }
  }
  Pass();
}
