/* Memory that children inherited copy-on-write: shared pages, pages that one of them wrote since,
 * and pages given back. */
#include "test/targets/family.h"
#include "test/targets/target.h"

enum { kSize = 1 << 20, kPart = kSize / 4 };

static char* memory;

static void Expect(int second, bool third) {
  ExpectFilled("what was inherited", memory, kPart, 1);
  ExpectFilled("what was written since", memory + kPart, kPart, second);
  if (third) {
    ExpectFilled("what others gave back", memory + 2 * kPart, kPart, 1);
  } else {
    for (int i = 0; i < kPart; ++i) EXPECT_EQ(0, memory[2 * kPart + i]);
  }
}

static void Writer(Child* self, void* seed) {
  Fill(memory + kPart, kPart, *(int*)seed);
  REQUIRE_SYSCALL(madvise(memory + 2 * kPart, kPart, MADV_DONTNEED));
  AwaitCheck(self);
  Expect(*(int*)seed, false);
}

int main(void) {
  memory = Map(kSize);
  Fill(memory, kPart, 1);
  Fill(memory + kPart, kPart, 2);
  Fill(memory + 2 * kPart, kPart, 1);
  int seeds[] = {11, 12, 13};
  Child* children[3];
  for (int i = 0; i < 3; ++i) children[i] = StartChild(0, Writer, &seeds[i]);

  Checkpoint();

  Expect(2, true);
  for (int i = 0; i < 3; ++i) CheckChild(children[i]);
  Expect(2, true);
  Pass();
}
