/* Memory that is moved by whole page tables, and given back in pages of both sizes and read, when
 * the file `move` appears. */
#include "test/targets/target.h"

enum { kPage = 4096, kTable = 2 << 20 };

static char* tables; /* four, of which the third is one huge page where there are any */

static void Move(int from, int to) {
  EXPECT(mremap(tables + from * kTable, kTable, kTable, MREMAP_MAYMOVE | MREMAP_FIXED,
                tables + to * kTable) == tables + to * kTable);
}

static void GiveBack(char* memory, size_t size) {
  EXPECT(madvise(memory, size, MADV_DONTNEED) == 0);
  EXPECT_EQ(0, *(volatile char*)memory);
}

int main(void) {
  char* place = Map(5 * kTable);
  tables = place + kTable - (uintptr_t)place % kTable;
  madvise(tables, 2 * kTable, MADV_NOHUGEPAGE);
  madvise(tables + 2 * kTable, kTable, MADV_HUGEPAGE);
  for (int i = 0; i < 3; ++i) Fill(tables + i * kTable, kTable, 1 + i);
  Ready();
  while (access("move", R_OK) != 0) SleepMs(1);
  Move(0, 3);
  Move(1, 0);
  Move(3, 1);
  GiveBack(tables + 2 * kTable, kTable);
  GiveBack(tables + 5 * kPage, kPage);
  REQUIRE_SYSCALL(close(REQUIRE_SYSCALL(open("moved", O_WRONLY | O_CREAT, 0600))));
  WaitForGo();
  ExpectFilled("what was moved first", tables + kTable, kTable, 1);
  ExpectFilled("what was moved last", tables, 5 * kPage, 2);
  for (int i = 0; i < kPage; ++i) EXPECT_EQ(0, tables[5 * kPage + i]);
  for (int i = 0; i < kTable; i += 64) EXPECT_EQ(0, tables[2 * kTable + i]);
  Pass();
}
