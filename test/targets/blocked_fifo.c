/* read on an empty fifo. */
#include <sys/stat.h>

#include "test/targets/blocked.h"

static int fifo;

static void Call(void) {
  char byte = 0;
  EXPECT_EQ(1, read(fifo, &byte, 1));
  EXPECT_EQ(112, byte);
}

static void Release(void) { EXPECT_EQ(1, write(fifo, "p", 1)); }

int main(void) {
  REQUIRE(mkfifo("fifo", 0600) == 0);
  fifo = REQUIRE_SYSCALL(open("fifo", O_RDWR));
  static const Blocked kBlocked = {Call, SYS_read, Release};
  RunBlocked(&kBlocked);
}
