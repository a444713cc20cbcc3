/* Memory that children inherited copy-on-write: shared pages, pages that one of them wrote since,
 * and pages given back, unmapped or moved; a grandchild that shares with both generations above;
 * pages over a file; and pages of zeros, which nobody has written. */
#include "test/targets/family.h"
#include "test/targets/target.h"

enum { kSize = 1 << 20, kPart = kSize / 4, kHuge = 2 << 20 };

static char* memory;

static char* zeros; /* read, and never written: the kernel's one page of zeros, and its huge one */

static void MapZeros(void) {
  char* place = Map(3 * kHuge);
  zeros = place + kHuge - (uintptr_t)place % kHuge;
  /* Where there is no huge page of zeros, it is small ones all over. */
  madvise(zeros, kHuge, MADV_HUGEPAGE);
  REQUIRE_SYSCALL(madvise(zeros + kHuge, kHuge, MADV_NOHUGEPAGE));
  for (int i = 0; i < 2 * kHuge; i += 4096) REQUIRE(*(volatile char*)(zeros + i) == 0);
}

static void Expect(int second, bool third) {
  for (int i = 0; i < 2 * kHuge; i += 512) EXPECT_EQ(0, zeros[i]);
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

static char* over_file; /* of two parts: the first was written before the forks */

static void Grandchild(Child* self, void* unused) {
  (void)unused;
  memory[0] ^= 1;
  AwaitCheck(self);
  memory[0] ^= 1;
  ExpectFilled("what the grandparent wrote", memory, kPart, 1);
  ExpectFilled("what the parent wrote", memory + kPart, kPart, 21);
}

static void Parent(Child* self, void* unused) {
  (void)unused;
  Fill(memory + kPart, kPart, 21);
  Child* children[4];
  for (int i = 0; i < 4; ++i) children[i] = StartChild(0, Grandchild, NULL);
  AwaitCheck(self);
  for (int i = 0; i < 4; ++i) CheckChild(children[i]);
  ExpectFilled("what was inherited", memory, kPart, 1);
  ExpectFilled("what was written before the forks", memory + kPart, kPart, 21);
  ExpectFilled("what was written over a file", over_file, kPart, 31);
}

static void Mover(Child* self, void* unused) {
  (void)unused;
  char* place = Map(2 * kPart);
  REQUIRE(mremap(memory, kPart, kPart, MREMAP_MAYMOVE | MREMAP_FIXED, place) == place);
  REQUIRE_SYSCALL(munmap(memory + kPart, kPart));
  over_file[kPart] = 7;
  AwaitCheck(self);
  ExpectFilled("what was moved", place, kPart, 1);
  ExpectFilled("what stayed behind", memory + 2 * kPart, kPart, 1);
  EXPECT_EQ(-1, msync(memory, 2 * kPart, MS_ASYNC));
  ExpectFilled("what was written over a file", over_file, kPart, 31);
  EXPECT_EQ(7, over_file[kPart]);
  EXPECT_EQ(0, over_file[kPart + 1]);
}

static void MapFile(void) {
  const int fd = REQUIRE_SYSCALL(open("mapped", O_RDWR | O_CREAT, 0600));
  REQUIRE_SYSCALL(ftruncate(fd, 2 * kPart));
  over_file = mmap(NULL, 2 * kPart, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
  REQUIRE(over_file != MAP_FAILED);
  Fill(over_file, kPart, 31);
  REQUIRE_SYSCALL(close(fd));
}

int main(void) {
  memory = Map(kSize);
  MapFile();
  MapZeros();
  Fill(memory, kPart, 1);
  Fill(memory + kPart, kPart, 2);
  Fill(memory + 2 * kPart, kPart, 1);
  int seeds[] = {11, 12, 13};
  Child* children[3];
  for (int i = 0; i < 3; ++i) children[i] = StartChild(0, Writer, &seeds[i]);
  Child* parent = StartChild(0, Parent, NULL);
  Child* mover = StartChild(0, Mover, NULL);

  Checkpoint();

  Expect(2, true);
  for (int i = 0; i < 3; ++i) CheckChild(children[i]);
  CheckChild(parent);
  CheckChild(mover);
  Expect(2, true);
  ExpectFilled("what was written over a file", over_file, kPart, 31);
  Pass();
}
