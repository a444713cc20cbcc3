/* A job of a shell: its terminal and its session are the shell's (--shell-job). It has /dev/tty
 * besides, and a child in the background. Run by test/terminals. */
#include <sys/ioctl.h>
#include <termios.h>

#include "test/targets/family.h"
#include "test/targets/target.h"

static void InBackground(Child* self, void* unused) {
  (void)unused;
  REQUIRE_SYSCALL(setpgid(0, 0));
  const pid_t parent = getppid();
  AwaitCheck(self);
  EXPECT_EQ(getpid(), getpgrp());
  EXPECT_EQ(getsid(parent), getsid(0));
  EXPECT_EQ(getpgid(parent), tcgetpgrp(0));
  const int tty = open("/dev/tty", O_RDWR);
  EXPECT(tty >= 0); /* it is controlled by it, too */
}

int main(void) {
  REQUIRE(isatty(0) && isatty(2) && tcgetpgrp(0) == getpgrp());
  const pid_t session = getsid(0);
  REQUIRE(session != getpid());
  const int tty = REQUIRE_SYSCALL(open("/dev/tty", O_RDWR));
  Child* child = StartChild(0, InBackground, NULL);
  struct termios settings;
  REQUIRE_SYSCALL(tcgetattr(0, &settings));
  settings.c_lflag &= ~(tcflag_t)(ECHO | ICANON);
  settings.c_cc[VINTR] = 'k';
  REQUIRE_SYSCALL(tcsetattr(0, TCSANOW, &settings));

  const Event event = Checkpoint();

  EXPECT_EQ(event == kResumed, getsid(0) == session);
  EXPECT_EQ(getsid(0), tcgetsid(0));
  EXPECT_EQ(getsid(0), tcgetsid(tty));
  EXPECT_EQ(getpid(), getpgrp());
  EXPECT_EQ(getpgrp(), tcgetpgrp(0));
  struct winsize size;
  EXPECT_EQ(0, ioctl(2, TIOCGWINSZ, &size));
  EXPECT_EQ(44, size.ws_row);
  EXPECT_EQ(111, size.ws_col);
  struct termios now;
  EXPECT_EQ(0, tcgetattr(tty, &now));
  EXPECT_EQ(settings.c_lflag, now.c_lflag);
  EXPECT_EQ('k', now.c_cc[VINTR]);
  EXPECT_EQ(9, write(tty, "still on\n", 9));
  CheckChild(child);
  Pass();
}
