/* The memory devices. */
#include "test/targets/target.h"

int main(void) {
  int null = REQUIRE_SYSCALL(open("/dev/null", O_WRONLY));
  int zero = REQUIRE_SYSCALL(open("/dev/zero", O_RDWR));
  int random = REQUIRE_SYSCALL(open("/dev/urandom", O_RDONLY | O_NONBLOCK));
  int full = REQUIRE_SYSCALL(open("/dev/full", O_WRONLY));
  int flags = fcntl(random, F_GETFL);
  Checkpoint();
  char bytes[16] = "xxxxxxxxxxxxxxx";
  static const char kZeros[16];
  EXPECT_EQ(5, write(null, bytes, 5));
  EXPECT_EQ(O_WRONLY, fcntl(null, F_GETFL) & O_ACCMODE);
  EXPECT_EQ(16, read(zero, bytes, 16));
  EXPECT(memcmp(bytes, kZeros, 16) == 0);
  EXPECT_EQ(16, read(random, bytes, 16));
  EXPECT(memcmp(bytes, kZeros, 16) != 0);
  EXPECT_EQ(flags, fcntl(random, F_GETFL));
  EXPECT_EQ(-1, write(full, bytes, 1));
  EXPECT_EQ(ENOSPC, errno);
  Pass();
}
