/* The leader of a session whose terminal a restore is given (--external tty[...]). Run by
 * test/terminals. */
#include <sys/ioctl.h>
#include <termios.h>

#include "test/targets/target.h"

int main(void) {
  REQUIRE(isatty(0) && isatty(2) && tcgetpgrp(0) == getpgrp());
  REQUIRE(getsid(0) == getpid());

  Checkpoint();

  EXPECT_EQ(getpid(), getsid(0));
  EXPECT_EQ(getpid(), tcgetsid(0));
  EXPECT_EQ(getpid(), tcgetsid(2));
  EXPECT_EQ(getpgrp(), tcgetpgrp(0));
  const int tty = open("/dev/tty", O_RDWR);
  EXPECT(tty >= 0);
  EXPECT_EQ(9, write(tty, "still on\n", 9));
  Pass();
}
