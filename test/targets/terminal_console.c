/* Virtual consoles with settings of their own, and the console. */
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>

#include "test/targets/target.h"

static int OpenSet(const char* path, cc_t interrupt) {
  const int fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
  struct termios settings;
  if (fd < 0 || tcgetattr(fd, &settings) != 0) Skip("there are no virtual consoles");
  settings.c_cc[VINTR] = interrupt;
  REQUIRE_SYSCALL(tcsetattr(fd, TCSANOW, &settings));
  return fd;
}

static void ExpectSet(int fd, cc_t interrupt) {
  struct termios settings;
  EXPECT_EQ(0, tcgetattr(fd, &settings));
  EXPECT_EQ(interrupt, settings.c_cc[VINTR]);
}

int main(void) {
  const int one = OpenSet("/dev/tty61", 'i');
  const int two = OpenSet("/dev/tty62", 'j');
  const int console = open("/dev/console", O_WRONLY | O_NOCTTY | O_NONBLOCK);
  if (console < 0) Skip("there is no console");

  Checkpoint();

  /* They forget it when nobody has them open any more. */
  ExpectSet(one, 'i');
  ExpectSet(two, 'j');
  EXPECT_EQ(O_WRONLY | O_NONBLOCK, fcntl(console, F_GETFL) & (O_ACCMODE | O_NONBLOCK));
  struct stat opened, named;
  EXPECT(fstat(console, &opened) == 0 && stat("/dev/console", &named) == 0);
  EXPECT_EQ(named.st_rdev, opened.st_rdev);
  EXPECT(isatty(console));
  Pass();
}
