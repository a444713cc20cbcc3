/* A fifo with bytes in it, opened at both ends and at both at once. */
#include <sys/stat.h>

#include "test/targets/target.h"

enum { kBytes = 5000 };

int main(void) {
  REQUIRE(mkfifo("fifo", 0644) == 0);
  int reader = REQUIRE_SYSCALL(open("fifo", O_RDONLY | O_NONBLOCK));
  int writer = REQUIRE_SYSCALL(open("fifo", O_WRONLY));
  int both = REQUIRE_SYSCALL(open("fifo", O_RDWR));
  char bytes[kBytes];
  Fill(bytes, kBytes, 22);
  REQUIRE(write(writer, bytes, kBytes) == kBytes);
  Checkpoint();
  memset(bytes, 0, kBytes);
  EXPECT_EQ(2500, read(reader, bytes, 2500));
  EXPECT_EQ(kBytes - 2500, read(both, bytes + 2500, kBytes - 2500));
  ExpectFilled("bytes", bytes, kBytes, 22);
  EXPECT_EQ(O_NONBLOCK, fcntl(reader, F_GETFL) & O_NONBLOCK);
  EXPECT_EQ(3, write(both, "end", 3));
  close(writer);
  close(both);
  EXPECT_EQ(3, read(reader, bytes, kBytes));
  EXPECT_EQ(0, read(reader, bytes, kBytes));
  Pass();
}
