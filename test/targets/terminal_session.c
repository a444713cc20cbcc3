/* A session that a pseudo-terminal controls, another group of it in the foreground, and /dev/tty;
 * one whose leader has closed all but /dev/tty; and one whose terminal nobody has open. */
#include <sys/ioctl.h>
#include <termios.h>

#include "test/targets/family.h"
#include "test/targets/terminal.h"

static int interrupted;

static void Interrupt(int signal) {
  (void)signal;
  interrupted = 1;
}

/* In the foreground: it gets what is typed. */
static void InFront(Child* self, void* slave) {
  REQUIRE_SYSCALL(setpgid(0, 0));
  signal(SIGTTOU, SIG_IGN);
  REQUIRE_SYSCALL(tcsetpgrp(*(int*)slave, getpid()));
  signal(SIGINT, Interrupt);
  sigset_t mask, before;
  sigemptyset(&mask);
  sigaddset(&mask, SIGINT);
  sigprocmask(SIG_BLOCK, &mask, &before);
  AwaitCheck(self);
  while (!interrupted) sigsuspend(&before);
}

/* A leader's end hangs up its terminal, which throws away what is on its way: so it waits until it
 * was heard. */
static void SayAndWait(Child* self, int tty, const char* text) {
  EXPECT_EQ((long)strlen(text), write(tty, text, strlen(text)));
  AwaitCheck(self);
}

static void TakeTerminal(int slave) {
  REQUIRE_SYSCALL(setsid());
  REQUIRE_SYSCALL(ioctl(slave, TIOCSCTTY, 0));
}

static void Lead(Child* self, void* pair) {
  const int* ends = pair;
  close(ends[0]);
  TakeTerminal(ends[1]);
  Child* front = StartChild(0, InFront, (void*)&ends[1]);
  const int tty = REQUIRE_SYSCALL(open("/dev/tty", O_RDWR));
  AwaitCheck(self);
  EXPECT_EQ(getpid(), getsid(0));
  EXPECT_EQ(getpid(), tcgetsid(ends[1]));
  EXPECT_EQ(getpid(), tcgetsid(tty));
  EXPECT_EQ(front->pid, tcgetpgrp(ends[1]));
  EXPECT_EQ(front->pid, tcgetpgrp(tty));
  CheckChild(front);
  signal(SIGTTOU, SIG_IGN);
  EXPECT_EQ(0, tcsetpgrp(tty, getpgrp()));
  SayAndWait(self, tty, "tty\n");
}

static void LeadByTty(Child* self, void* pair) {
  const int* ends = pair;
  close(ends[0]);
  TakeTerminal(ends[1]);
  const int tty = REQUIRE_SYSCALL(open("/dev/tty", O_RDWR | O_CLOEXEC));
  close(ends[1]);
  AwaitCheck(self);
  EXPECT_EQ(getpid(), tcgetsid(tty));
  EXPECT_EQ(getpid(), tcgetpgrp(tty));
  SayAndWait(self, tty, "by\n");
}

static void LeadClosed(Child* self, void* pair) {
  const int* ends = pair;
  close(ends[0]);
  TakeTerminal(ends[1]);
  close(ends[1]);
  AwaitCheck(self);
  const int tty = open("/dev/tty", O_RDWR);
  EXPECT(tty >= 0);
  EXPECT_EQ(getpid(), tcgetsid(tty));
  SayAndWait(self, tty, "new\n");
}

static void OpenPair(int* ends) {
  const int unlock = 0;
  ends[0] = REQUIRE_SYSCALL(open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC));
  REQUIRE_SYSCALL(ioctl(ends[0], TIOCSPTLCK, &unlock));
  ends[1] = REQUIRE_SYSCALL(ioctl(ends[0], TIOCGPTPEER, O_RDWR | O_NOCTTY));
}

static short Events(int master) {
  struct pollfd poll_fd = {.fd = master, .events = POLLIN};
  poll(&poll_fd, 1, 0);
  return poll_fd.revents;
}

static void CheckHeard(Child* leader, int master, const char* text) {
  EXPECT_EQ(1, write(leader->go[1], "g", 1));
  ExpectHeard("from a leader", master, text);
  CheckChild(leader);
}

int main(void) {
  int pair[2], by_tty[2], closed[2];
  OpenPair(pair);
  Child* leader = StartChild(0, Lead, pair);
  OpenPair(by_tty);
  Child* tty_leader = StartChild(0, LeadByTty, by_tty);
  close(by_tty[1]);
  OpenPair(closed);
  Child* closed_leader = StartChild(0, LeadClosed, closed);
  close(closed[1]);
  REQUIRE(Events(closed[0]) == POLLHUP);

  Checkpoint();

  EXPECT_EQ(leader->pid, tcgetsid(pair[0]));
  EXPECT_EQ(tty_leader->pid, tcgetsid(by_tty[0]));
  EXPECT_EQ(closed_leader->pid, tcgetsid(closed[0]));
  EXPECT_EQ(POLLHUP, Events(closed[0]));
  EXPECT_EQ(-1, tcgetsid(pair[1])); /* not ours */
  EXPECT_EQ(1, write(pair[0], "\003", 1));
  ExpectHeard("the echo", pair[0], "^C");
  CheckHeard(leader, pair[0], "tty\r\n");
  CheckHeard(tty_leader, by_tty[0], "by\r\n");
  CheckHeard(closed_leader, closed[0], "new\r\n");
  Pass();
}
