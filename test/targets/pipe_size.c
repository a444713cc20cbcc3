/* A pipe made larger than it comes, full; and one made smaller. */
#include "test/targets/target.h"

enum { kLarge = 512 * 1024, kSmall = 4096 };

int main(void) {
  int large[2], small[2];
  REQUIRE(pipe2(large, O_NONBLOCK) == 0 && pipe2(small, O_NONBLOCK) == 0);
  REQUIRE(fcntl(large[1], F_SETPIPE_SZ, kLarge) == kLarge);
  REQUIRE(fcntl(small[1], F_SETPIPE_SZ, kSmall) == kSmall);
  char* bytes = Map(kLarge);
  Fill(bytes, kLarge, 21);
  REQUIRE(write(large[1], bytes, kLarge) == kLarge);
  Checkpoint();
  EXPECT_EQ(kLarge, fcntl(large[0], F_GETPIPE_SZ));
  EXPECT_EQ(kSmall, fcntl(small[0], F_GETPIPE_SZ));
  EXPECT_EQ(-1, write(large[1], bytes, 1));
  EXPECT_EQ(EAGAIN, errno);
  memset(bytes, 0, kLarge);
  EXPECT_EQ(kLarge, read(large[0], bytes, kLarge));
  ExpectFilled("bytes", bytes, kLarge, 21);
  Pass();
}
