/* What waits to be read from pseudo-terminals, at both ends: text as it is typed and printed, with
 * a line that is not ended; what is typed without echo, with an end of file; and any bytes. */
#include <sys/ioctl.h>
#include <termios.h>

#include "test/targets/terminal.h"

enum { kBytes = 3000 };

typedef struct {
  int master;
  int slave;
} Pair;

static Pair Open(void) {
  const int unlock = 0;
  Pair pair;
  pair.master = REQUIRE_SYSCALL(open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK));
  REQUIRE_SYSCALL(ioctl(pair.master, TIOCSPTLCK, &unlock));
  pair.slave = REQUIRE_SYSCALL(ioctl(pair.master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_NONBLOCK));
  return pair;
}

static void Say(int fd, const char* text) {
  REQUIRE(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
}

static void WaitReadable(int fd) { REQUIRE(BecomesReadable(fd, NowMs() + 5000)); }

static void ExpectSilent(int fd) {
  char byte;
  EXPECT_EQ(-1, read(fd, &byte, 1));
  EXPECT_EQ(EAGAIN, errno);
}

static void SetSilent(int fd, bool raw) {
  struct termios settings;
  REQUIRE_SYSCALL(tcgetattr(fd, &settings));
  settings.c_lflag &= ~(tcflag_t)ECHO;
  if (raw) cfmakeraw(&settings);
  REQUIRE_SYSCALL(tcsetattr(fd, TCSANOW, &settings));
}

static void ExpectBytes(int fd, uint64_t seed) {
  char bytes[kBytes + 1];
  EXPECT_EQ(kBytes, Hear(fd, bytes, kBytes, sizeof(bytes)));
  ExpectFilled("bytes", bytes, kBytes, seed);
}

int main(void) {
  if (access("/sys/kernel/btf/vmlinux", R_OK) != 0) Skip("a dump could not look into terminals");

  const Pair text = Open();
  Say(text.slave, "one\ntwo> ");
  Say(text.master, "first\nsecond\nbeg");
  WaitReadable(text.slave);

  const Pair silent = Open();
  SetSilent(silent.slave, false);
  Say(silent.slave, "password: ");
  Say(silent.master, "secret\n\004");
  WaitReadable(silent.slave);

  const Pair raw = Open();
  SetSilent(raw.slave, true);
  char bytes[kBytes];
  Fill(bytes, kBytes, 77);
  REQUIRE(write(raw.slave, bytes, kBytes) == kBytes);
  Fill(bytes, kBytes, 78);
  REQUIRE(write(raw.master, bytes, kBytes) == kBytes);

  Checkpoint();

  ExpectHeard("what was printed", text.master, "one\r\ntwo> first\r\nsecond\r\nbeg");
  ExpectHeard("the first line", text.slave, "first\n");
  ExpectHeard("the second line", text.slave, "second\n");
  ExpectSilent(text.slave);
  Say(text.master, "un\n");
  ExpectHeard("the line that was begun", text.slave, "begun\n");
  ExpectHeard("the echo of its end", text.master, "un\r\n");

  ExpectHeard("the prompt", silent.master, "password: ");
  ExpectHeard("what has no echo", silent.slave, "secret\n");
  char byte;
  WaitReadable(silent.slave);
  EXPECT_EQ(0, read(silent.slave, &byte, 1)); /* the end of the file */
  ExpectSilent(silent.slave);
  ExpectSilent(silent.master);

  ExpectBytes(raw.master, 77);
  ExpectBytes(raw.slave, 78);
  ExpectSilent(raw.master);
  Pass();
}
