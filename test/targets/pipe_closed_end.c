/* Pipes of which one end is closed: bytes and then the end, and nobody who reads. */
#include "test/targets/target.h"

int main(void) {
  signal(SIGPIPE, SIG_IGN);
  int no_writer[2], no_reader[2];
  REQUIRE(pipe(no_writer) == 0 && pipe(no_reader) == 0);
  REQUIRE(write(no_writer[1], "last words", 10) == 10);
  close(no_writer[1]);
  close(no_reader[0]);
  Checkpoint();
  char bytes[32] = "";
  EXPECT_EQ(10, read(no_writer[0], bytes, sizeof(bytes)));
  EXPECT_STREQ("last words", bytes);
  EXPECT_EQ(0, read(no_writer[0], bytes, sizeof(bytes)));
  EXPECT_EQ(-1, write(no_reader[1], "x", 1));
  EXPECT_EQ(EPIPE, errno);
  Pass();
}
