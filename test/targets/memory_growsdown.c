/* A mapping that grows down, grown before and after. */
#include "test/targets/target.h"

enum { kPage = 4096 };

/* Far enough from anything below: the kernel keeps a gap of 256 pages under such a mapping. */
enum { kRoom = 1024 * kPage };

int main(void) {
  char* room = Map(kRoom);
  char* top = room + kRoom - 2 * kPage;
  REQUIRE(munmap(room, kRoom) == 0);
  REQUIRE(mmap(top, 2 * kPage, PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_FIXED, -1, 0) == top);
  Fill(top - 3 * kPage, 5 * kPage, 13);
  Checkpoint();
  ExpectFilled("grown mapping", top - 3 * kPage, 5 * kPage, 13);
  /* Before anything is mapped: on Linux 6.1 that may be nearer than the gap. */
  Fill(top - 10 * kPage, 5 * kPage, 14);
  EXPECT(HasVmFlag(top, "gd"));
  ExpectFilled("grown again", top - 10 * kPage, 5 * kPage, 14);
  ExpectFilled("grown mapping", top - 3 * kPage, 5 * kPage, 13);
  Pass();
}
