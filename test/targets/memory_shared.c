/* Anonymous memory that a family shares: one object, whoever maps which part of it, with holes; one
 * that is mapped twice in one process; and one that one process alone has. */
#include <sys/stat.h>

#include "test/targets/family.h"
#include "test/targets/target.h"

enum { kPage = 4096, kPages = 600, kSize = kPages * kPage, kGift = 100, kSign = 300 };

static char* MapShared(size_t size) {
  void* memory =
      mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  REQUIRE(memory != MAP_FAILED);
  return memory;
}

static char* family;   /* all of it in the parent, from kGift on in the child */
static char* of_child; /* the parent has given it up */

static void ExpectZeros(const char* memory, size_t size) {
  for (size_t i = 0; i < size; ++i) EXPECT_EQ(0, memory[i]);
}

static void Sharer(Child* self, void* unused) {
  (void)unused;
  REQUIRE_SYSCALL(munmap(family, kGift * kPage));
  REQUIRE_SYSCALL(mprotect(family + kGift * kPage, kPage, PROT_READ));
  Fill(of_child, kPage, 9);
  AwaitCheck(self);
  ExpectFilled("what the parent wrote", family + kGift * kPage, kPage, 2);
  EXPECT_STREQ("to the child", family + kSign * kPage);
  strcpy(family + kSign * kPage, "to the parent");
  ExpectFilled("what the child alone has", of_child, kPage, 9);
}

int main(void) {
  family = MapShared(kSize);
  Fill(family, kPage, 1);
  Fill(family + kGift * kPage, kPage, 2);
  Fill(family + (kPages - 1) * kPage, kPage, 3);
  of_child = MapShared(4 * kPage);
  /* The same pages twice, side by side: with other shared memory in between no restore comes to its
   * end (see shared_order.h). */
  char* twice = MapShared(4 * kPage);
  Fill(twice, 2 * kPage, 4);
  char* alias = mremap(twice, 0, 2 * kPage, MREMAP_MAYMOVE | MREMAP_FIXED, twice + 2 * kPage);
  REQUIRE(alias != MAP_FAILED);
  char* untouched = MapShared(16 * kPage);
  Child* sharer = StartChild(0, Sharer, NULL);
  REQUIRE_SYSCALL(munmap(of_child, 4 * kPage));

  Checkpoint();

  ExpectFilled("the first page", family, kPage, 1);
  ExpectZeros(family + kPage, (kGift - 1) * kPage);
  ExpectFilled("the last page", family + (kPages - 1) * kPage, kPage, 3);
  ExpectFilled("mapped twice", alias, 2 * kPage, 4);
  Fill(twice, 2 * kPage, 5);
  ExpectFilled("mapped twice, written", alias, 2 * kPage, 5);
  ExpectZeros(untouched, 16 * kPage);
  strcpy(family + kSign * kPage, "to the child");
  CheckChild(sharer);
  EXPECT_STREQ("to the parent", family + kSign * kPage);
  Pass();
}
