/* Open files that processes inherited: one offset for all, whoever moves it; and of files opened
 * twice, each its own. */
#include "test/targets/family.h"
#include "test/targets/target.h"

static int inherited;
static int pipe_ends[2];

static long Offset(int fd) { return lseek(fd, 0, SEEK_CUR); }

static void Reader(Child* self, void* unused) {
  (void)unused;
  const int own = REQUIRE_SYSCALL(open("data", O_RDONLY));
  REQUIRE_SYSCALL(lseek(own, 4, SEEK_SET));
  AwaitCheck(self);
  char text[8] = "";
  EXPECT_EQ(3, Offset(inherited));
  EXPECT_EQ(2, read(inherited, text, 2));
  EXPECT_STREQ("de", text);
  EXPECT_EQ(4, Offset(own));
  EXPECT_EQ(3, read(pipe_ends[0], text, 3)); /* written by the parent before */
  EXPECT_STREQ("xyz", text);
}

int main(void) {
  inherited = REQUIRE_SYSCALL(open("data", O_RDWR | O_CREAT, 0600));
  REQUIRE(write(inherited, "abcdefgh", 8) == 8);
  REQUIRE_SYSCALL(lseek(inherited, 3, SEEK_SET));
  REQUIRE_SYSCALL(pipe(pipe_ends));
  REQUIRE(write(pipe_ends[1], "xyz", 3) == 3);
  Child* reader = StartChild(0, Reader, NULL);

  Checkpoint();

  CheckChild(reader);
  EXPECT_EQ(5, Offset(inherited));
  /* All ends but ours are closed by now. */
  EXPECT_EQ(0, close(pipe_ends[1]));
  char byte;
  EXPECT_EQ(0, read(pipe_ends[0], &byte, 1));
  Pass();
}
