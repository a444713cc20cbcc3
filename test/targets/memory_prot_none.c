/* Memory that may not be touched, with content that shows once it may. */
#include "test/targets/target.h"

enum { kSize = 8 * 4096 };

int main(void) {
  char* area = Map(kSize);
  Fill(area, kSize, 9);
  REQUIRE(mprotect(area, kSize, PROT_NONE) == 0);
  char* write_only = Map(kSize);
  Fill(write_only, kSize, 10);
  REQUIRE(mprotect(write_only, kSize, PROT_WRITE) == 0);
  Checkpoint();
  EXPECT(strstr(SmapsField(area, "maps"), " ---p ") != NULL);
  EXPECT(strstr(SmapsField(write_only, "maps"), " -w-p ") != NULL);
  EXPECT(mprotect(area, kSize, PROT_READ) == 0);
  EXPECT(mprotect(write_only, kSize, PROT_READ) == 0);
  ExpectFilled("PROT_NONE", area, kSize, 9);
  ExpectFilled("PROT_WRITE", write_only, kSize, 10);
  Pass();
}
