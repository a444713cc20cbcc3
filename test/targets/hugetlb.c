/* Memory in huge pages that are set aside: private, shared with a child, of a memfd that is mapped,
 * and of one that is not. */
#include "test/targets/family.h"
#include "test/targets/target.h"

enum { kHuge = 2 << 20 };
#define PAGE_OF_2M (21 << 26)

static char* MapHuge(int pages, int flags, int fd) {
  char* memory = mmap(NULL, (size_t)pages * kHuge, PROT_READ | PROT_WRITE, flags, fd, 0);
  if (memory == MAP_FAILED) Skip("too few huge pages are set aside");
  return memory;
}

static int Memfd(const char* name) {
  const int fd = (int)REQUIRE_SYSCALL(memfd_create(name, MFD_HUGETLB | MFD_ALLOW_SEALING));
  REQUIRE_SYSCALL(ftruncate(fd, kHuge));
  return fd;
}

static char* shared;

static void Sharer(Child* self, void* unused) {
  (void)unused;
  AwaitCheck(self);
  ExpectFilled("what the parent wrote", shared, kHuge, 2);
  strcpy(shared, "to the parent");
}

static void ExpectHuge(const char* memory) {
  EXPECT_STREQ("2048 kB", SmapsField(memory, "KernelPageSize"));
  EXPECT(HasVmFlag(memory, "ht"));
}

int main(void) {
  char* private = MapHuge(2, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | PAGE_OF_2M, -1);
  shared = MapHuge(1, MAP_SHARED | MAP_ANONYMOUS | MAP_HUGETLB, -1);
  const int mapped = Memfd("mapped");
  char* memory = MapHuge(1, MAP_SHARED, mapped);
  char* copy = MapHuge(1, MAP_PRIVATE, mapped);
  const int kept = Memfd("kept");
  char* for_a_while = MapHuge(1, MAP_SHARED, kept);
  Fill(private + kHuge, kHuge, 1);
  Fill(shared, kHuge, 2);
  Fill(memory, kHuge, 3);
  Fill(copy, 4096, 4);
  Fill(for_a_while, kHuge, 5);
  REQUIRE_SYSCALL(munmap(for_a_while, kHuge));
  REQUIRE_SYSCALL(fcntl(kept, F_ADD_SEALS, F_SEAL_GROW));
  Child* child = StartChild(0, Sharer, NULL);
  Checkpoint();
  ExpectHuge(private);
  ExpectHuge(shared);
  ExpectHuge(memory);
  ExpectHuge(copy);
  ExpectFilled("private", private + kHuge, kHuge, 1);
  EXPECT_EQ(0, private[0]);
  ExpectFilled("shared", shared, kHuge, 2);
  CheckChild(child);
  EXPECT_STREQ("to the parent", shared);
  ExpectFilled("memfd", memory, kHuge, 3);
  ExpectFilled("its private copy", copy, 4096, 4);
  memory[kHuge - 1] ^= 1;
  char last;
  EXPECT_EQ(1, pread(mapped, &last, 1, kHuge - 1));
  EXPECT_EQ(memory[kHuge - 1], last);
  EXPECT_EQ(F_SEAL_GROW, fcntl(kept, F_GET_SEALS));
  REQUIRE_SYSCALL(munmap(private, 2 * kHuge));
  for_a_while = MapHuge(1, MAP_SHARED, kept);
  ExpectHuge(for_a_while);
  ExpectFilled("the memfd that was not mapped", for_a_while, kHuge, 5);
  Pass();
}
