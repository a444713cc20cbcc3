#include "test/refusal/witness_terminals.h"

#include <asm/termbits.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include "test/targets/terminal.h"

typedef struct {
  int master;
  int slave;
} Pair;

static Pair Open(void) {
  const int unlock = 0;
  Pair pair;
  pair.master = REQUIRE_SYSCALL(open("/dev/ptmx", O_RDWR | O_NOCTTY));
  REQUIRE_SYSCALL(ioctl(pair.master, TIOCSPTLCK, &unlock));
  pair.slave = REQUIRE_SYSCALL(ioctl(pair.master, TIOCGPTPEER, O_RDWR | O_NOCTTY));
  return pair;
}

/* A process that is no child of this one holds the master. */
static int SlaveAlone(void) {
  const Pair pair = Open();
  const pid_t child = REQUIRE_SYSCALL(fork());
  if (child == 0) {
    if (REQUIRE_SYSCALL(fork()) != 0) _exit(0);
    close(pair.slave);
    for (;;) pause();
  }
  REQUIRE(waitpid(child, NULL, 0) == child);
  close(pair.master);
  return pair.slave;
}

static void TakeTerminal(const Pair* pair) {
  REQUIRE_SYSCALL(setsid());
  REQUIRE_SYSCALL(ioctl(pair->slave, TIOCSCTTY, 0));
  close(pair->master);
}

static _Noreturn void Stand(int ready) {
  REQUIRE(write(ready, "r", 1) == 1);
  for (;;) pause();
}

/* The leader of a session of the terminal, which has printed something and closed it. */
static void LeadUnheard(const Pair* pair, int ready) {
  TakeTerminal(pair);
  REQUIRE(write(pair->slave, "never read", 10) == 10);
  close(pair->slave);
  Stand(ready);
}

/* The leader of a session of the terminal, with a child that is to do `what`. */
static void Lead(const Pair* pair, const char* what, int ready) {
  TakeTerminal(pair);
  const pid_t child = REQUIRE_SYSCALL(fork());
  if (child == 0 && strcmp(what, "dev_tty") == 0) {
    REQUIRE_SYSCALL(open("/dev/tty", O_RDWR));
    Stand(ready);
  }
  if (child == 0) {
    for (;;) pause();
  }
  if (strcmp(what, "dead_group") == 0) {
    REQUIRE_SYSCALL(setpgid(child, child));
    REQUIRE_SYSCALL(ioctl(pair->slave, TIOCSPGRP, &child));
    REQUIRE_SYSCALL(kill(child, SIGKILL));
    REQUIRE(waitpid(child, NULL, 0) == child);
    Stand(ready);
  }
  for (;;) pause();
}

static void HoldSession(const char* what) {
  const Pair pair = Open();
  int ready[2];
  REQUIRE_SYSCALL(pipe2(ready, O_CLOEXEC));
  if (REQUIRE_SYSCALL(fork()) == 0) {
    if (strcmp(what, "unheard") == 0) LeadUnheard(&pair, ready[1]);
    Lead(&pair, what, ready[1]);
  }
  char byte;
  REQUIRE(read(ready[0], &byte, 1) == 1);
  if (strcmp(what, "unheard") == 0) close(pair.slave);
  close(ready[0]);
  close(ready[1]);
}

static void SetSpeed(int fd) {
  struct termios2 settings;
  REQUIRE_SYSCALL(ioctl(fd, TCGETS2, &settings));
  settings.c_cflag = (settings.c_cflag & ~(tcflag_t)CBAUD) | BOTHER;
  settings.c_ospeed = 12345;
  REQUIRE_SYSCALL(ioctl(fd, TCSETS2, &settings));
}

static void Lock(int fd) {
  struct termios settings;
  REQUIRE_SYSCALL(ioctl(fd, TCGETS, &settings));
  settings.c_lflag &= ~(tcflag_t)ECHO;
  REQUIRE_SYSCALL(ioctl(fd, TCSETS, &settings));
  memset(&settings, 0, sizeof(settings));
  settings.c_lflag = ECHO;
  REQUIRE_SYSCALL(ioctl(fd, TIOCSLCKTRMIOS, &settings));
}

static void WaitReadable(int fd) {
  struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
  REQUIRE(poll(&poll_fd, 1, -1) == 1);
}

static void HoldPair(const char* what) {
  const Pair pair = Open();
  if (strcmp(what, "exclusive") == 0) REQUIRE_SYSCALL(ioctl(pair.slave, TIOCEXCL));
  if (strcmp(what, "speed") == 0) SetSpeed(pair.slave);
  if (strcmp(what, "locked_settings") == 0) Lock(pair.slave);
  if (strcmp(what, "slave_closed") == 0) close(pair.slave);
  if (strcmp(what, "vhangup") == 0) REQUIRE_SYSCALL(ioctl(pair.slave, TIOCVHANGUP));
  if (strcmp(what, "output") == 0) {
    REQUIRE(write(pair.slave, "never read", 10) == 10);
    WaitReadable(pair.master);
  }
  if (strcmp(what, "input") == 0) {
    REQUIRE(write(pair.master, "never read\n", 11) == 11);
    WaitReadable(pair.slave);
    char echo[64];
    REQUIRE(Hear(pair.master, echo, 12, sizeof(echo)) == 12);
  }
}

void HoldTerminal(const char* what) {
  if (strncmp(what, "alone", 5) == 0) {
    SlaveAlone();
    if (strcmp(what, "alone_two") == 0) SlaveAlone();
  } else if (strcmp(what, "dead_group") == 0 || strcmp(what, "dev_tty") == 0 ||
             strcmp(what, "unheard") == 0) {
    HoldSession(what);
  } else if (strcmp(what, "serial") == 0) {
    REQUIRE_SYSCALL(open("/dev/tty0", O_RDWR | O_NOCTTY));
  } else {
    HoldPair(what);
  }
}
