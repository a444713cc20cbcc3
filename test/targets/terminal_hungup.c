/* Slaves of pseudo-terminals whose masters are closed, one of them opened twice. */
#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>

#include "test/targets/target.h"

static int OpenMaster(void) {
  const int unlock = 0;
  const int master = REQUIRE_SYSCALL(open("/dev/ptmx", O_RDWR | O_NOCTTY));
  REQUIRE_SYSCALL(ioctl(master, TIOCSPTLCK, &unlock));
  return master;
}

static int OpenSlave(int master, int flags) {
  return REQUIRE_SYSCALL(ioctl(master, TIOCGPTPEER, flags | O_NOCTTY));
}

static void ExpectHungUp(int slave) {
  struct termios settings;
  EXPECT_EQ(-1, tcgetattr(slave, &settings));
  EXPECT_EQ(EIO, errno);
  char byte;
  EXPECT_EQ(0, read(slave, &byte, 1));
  EXPECT_EQ(-1, write(slave, "x", 1));
  EXPECT_EQ((fcntl(slave, F_GETFL) & O_ACCMODE) == O_RDONLY ? EBADF : EIO, errno);
  struct pollfd poll_fd = {.fd = slave, .events = POLLIN};
  EXPECT_EQ(1, poll(&poll_fd, 1, 0));
  EXPECT(poll_fd.revents & POLLHUP);
}

int main(void) {
  const int masters[] = {OpenMaster(), OpenMaster()};
  const int slave = OpenSlave(masters[0], O_RDWR);
  const int other = OpenSlave(masters[0], O_RDONLY | O_CLOEXEC);
  const int second = OpenSlave(masters[1], O_RDWR | O_NONBLOCK);
  close(masters[0]);
  close(masters[1]);
  ExpectHungUp(slave);

  Checkpoint();

  ExpectHungUp(slave);
  ExpectHungUp(second);
  ExpectHungUp(other);
  EXPECT_EQ(O_NONBLOCK, fcntl(second, F_GETFL) & O_NONBLOCK);
  EXPECT_EQ(FD_CLOEXEC, fcntl(other, F_GETFD));
  Pass();
}
