/* Pseudo-terminals: what is set at them, who may open them, and that one end still hears the other.
 * One is as it was made, one has all that can be set, one is in packet mode and one still locked.
 */
#include <asm/termbits.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "test/targets/terminal.h"

typedef struct {
  int master;
  int slave;
  unsigned number;
} Pair;

static Pair Open(void) {
  Pair pair;
  const int unlock = 0;
  pair.master = REQUIRE_SYSCALL(open("/dev/ptmx", O_RDWR | O_NOCTTY));
  REQUIRE_SYSCALL(ioctl(pair.master, TIOCGPTN, &pair.number));
  REQUIRE_SYSCALL(ioctl(pair.master, TIOCSPTLCK, &unlock));
  pair.slave = REQUIRE_SYSCALL(ioctl(pair.master, TIOCGPTPEER, O_RDWR | O_NOCTTY));
  return pair;
}

static void Set(const Pair* pair, struct termios* settings, struct termios* locks) {
  REQUIRE_SYSCALL(ioctl(pair->slave, TCGETS, settings));
  settings->c_iflag = (settings->c_iflag & ~(tcflag_t)IXON) | INLCR;
  settings->c_lflag &= ~(tcflag_t)(ICANON | ECHO | IEXTEN);
  settings->c_cflag = (settings->c_cflag & ~(tcflag_t)CBAUD) | B9600 | PARENB;
  settings->c_cc[VINTR] = 'i';
  settings->c_cc[VMIN] = 3;
  settings->c_cc[VTIME] = 7;
  REQUIRE_SYSCALL(ioctl(pair->slave, TCSETS, settings));
  REQUIRE_SYSCALL(ioctl(pair->slave, TCGETS, settings)); /* there is no parity, for one */
  memset(locks, 0, sizeof(*locks));
  locks->c_iflag = ICRNL;
  locks->c_cc[VQUIT] = 1;
  REQUIRE_SYSCALL(ioctl(pair->slave, TIOCSLCKTRMIOS, locks));
  const struct winsize size = {33, 99, 5, 6};
  REQUIRE_SYSCALL(ioctl(pair->master, TIOCSWINSZ, &size));
}

static void ExpectSet(int fd, const struct termios* settings, const struct termios* locks) {
  struct termios now;
  struct winsize size;
  EXPECT_EQ(0, ioctl(fd, TCGETS, &now));
  EXPECT_EQ(0, memcmp(settings, &now, sizeof(now)));
  EXPECT_EQ(0, ioctl(fd, TIOCGLCKTRMIOS, &now));
  EXPECT_EQ(0, memcmp(locks, &now, sizeof(now)));
  EXPECT_EQ(0, ioctl(fd, TIOCGWINSZ, &size));
  EXPECT(size.ws_row == 33 && size.ws_col == 99 && size.ws_xpixel == 5 && size.ws_ypixel == 6);
}

static void ExpectConverses(const Pair* pair) {
  EXPECT_EQ(3, write(pair->master, "in\n", 3));
  ExpectHeard("the echo", pair->master, "in\r\n");
  ExpectHeard("the line", pair->slave, "in\n");
  EXPECT_EQ(4, write(pair->slave, "out\n", 4));
  ExpectHeard("the answer", pair->master, "out\r\n");
}

static int Flag(int fd, unsigned long request) {
  int flag = -1;
  EXPECT_EQ(0, ioctl(fd, request, &flag));
  return flag;
}

static unsigned NumberOf(int master) {
  unsigned number;
  EXPECT_EQ(0, ioctl(master, TIOCGPTN, &number));
  return number;
}

int main(void) {
  const Pair plain = Open();
  const int copy = REQUIRE_SYSCALL(dup(plain.slave));
  char path[32];
  snprintf(path, sizeof(path), "/dev/pts/%u", plain.number);
  const int other = REQUIRE_SYSCALL(open(path, O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC));
  const Pair set = Open();
  struct termios settings, locks;
  Set(&set, &settings, &locks);
  REQUIRE_SYSCALL(fchown(set.slave, 1234, 5));
  REQUIRE_SYSCALL(fchmod(set.slave, 0620));
  REQUIRE_SYSCALL(fcntl(set.slave, F_SETOWN, getpid()));
  const Pair packets = Open();
  const int on = 1;
  REQUIRE_SYSCALL(ioctl(packets.master, TIOCPKT, &on));
  const int locked = REQUIRE_SYSCALL(open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK));

  Checkpoint();

  EXPECT_EQ(plain.number, NumberOf(plain.master));
  ExpectConverses(&plain);
  EXPECT_EQ(O_WRONLY | O_NONBLOCK, fcntl(other, F_GETFL) & (O_ACCMODE | O_NONBLOCK));
  EXPECT_EQ(FD_CLOEXEC, fcntl(other, F_GETFD));
  EXPECT_EQ(5, write(other, "other", 5));
  ExpectHeard("from the other", plain.master, "other");
  EXPECT_EQ(4, write(copy, "copy", 4));
  ExpectHeard("from the copy", plain.master, "copy");

  EXPECT_EQ(set.number, NumberOf(set.master));
  ExpectSet(set.slave, &settings, &locks);
  ExpectSet(set.master, &settings, &locks);
  struct stat stat;
  EXPECT_EQ(0, fstat(set.slave, &stat));
  EXPECT_EQ(1234, stat.st_uid);
  EXPECT_EQ(5, stat.st_gid);
  EXPECT_EQ(S_IFCHR | 0620, stat.st_mode);
  EXPECT_EQ(getpid(), fcntl(set.slave, F_GETOWN));
  EXPECT_EQ(2, write(set.master, "ab", 2));
  EXPECT(!IsReadable(set.master)); /* no echo */
  EXPECT_EQ(1, write(set.master, "c", 1));
  ExpectHeard("three bytes", set.slave, "abc");

  EXPECT_EQ(1, Flag(packets.master, TIOCGPKT));
  EXPECT_EQ(0, Flag(plain.master, TIOCGPKT));
  EXPECT_EQ(1, write(packets.slave, "p", 1));
  char packet[4];
  EXPECT_EQ(2, read(packets.master, packet, sizeof(packet)));
  EXPECT(packet[0] == TIOCPKT_DATA && packet[1] == 'p');

  EXPECT_EQ(1, Flag(locked, TIOCGPTLCK));
  EXPECT_EQ(0, Flag(plain.master, TIOCGPTLCK));
  EXPECT_EQ(-1, ioctl(locked, TIOCGPTPEER, O_RDWR | O_NOCTTY));
  close(plain.master);
  EXPECT_EQ(0, read(plain.slave, packet, sizeof(packet))); /* hung up */
  Pass();
}
