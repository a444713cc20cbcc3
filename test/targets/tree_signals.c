/* What is on its way between processes: SIGCHLD with its siginfo, queued signals of a child to its
 * parent and back, pdeath_sig, timers that name the parent. */
#include <sys/prctl.h>
#include <sys/wait.h>

#include "test/targets/family.h"
#include "test/targets/target.h"

static void Block(int signal) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  REQUIRE_SYSCALL(sigprocmask(SIG_BLOCK, &set, NULL));
}

static void ExpectTaken(int signal, int code, pid_t sender, int value) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  const struct timespec none = {0};
  siginfo_t info = {0};
  EXPECT_EQ(signal, sigtimedwait(&set, &info, &none));
  EXPECT_EQ(code, info.si_code);
  EXPECT_EQ(sender, info.si_pid);
  if (code == SI_QUEUE) EXPECT_EQ(value, info.si_value.sival_int);
}

static void Queue(pid_t pid, int number) {
  const union sigval value = {.sival_int = number};
  REQUIRE_SYSCALL(sigqueue(pid, SIGRTMIN, value));
}

static void Sender(Child* self, void* unused) {
  (void)unused;
  Block(SIGRTMIN);
  REQUIRE_SYSCALL(prctl(PR_SET_PDEATHSIG, SIGHUP, 0, 0, 0));
  Queue(getppid(), 17);
  Queue(getppid(), 18);
  AwaitCheck(self);
  ExpectTaken(SIGRTMIN, SI_QUEUE, getppid(), 19);
  int signal = 0;
  EXPECT_EQ(0, prctl(PR_GET_PDEATHSIG, &signal, 0, 0, 0));
  EXPECT_EQ(SIGHUP, signal);
}

int main(void) {
  Block(SIGRTMIN);
  Block(SIGCHLD);
  Child* sender = StartChild(0, Sender, NULL);
  Queue(sender->pid, 19);
  const pid_t dead = REQUIRE_SYSCALL(fork());
  if (dead == 0) _exit(3);
  siginfo_t info;
  REQUIRE_SYSCALL(waitid(P_PID, dead, &info, WEXITED | WNOWAIT));

  const Event event = Checkpoint();

  ExpectTaken(SIGRTMIN, SI_QUEUE, sender->pid, 17);
  ExpectTaken(SIGRTMIN, SI_QUEUE, sender->pid, 18);
  if (event == kResumed) ExpectTaken(SIGCHLD, CLD_EXITED, dead, 0);
  EXPECT_EQ(dead, waitpid(dead, NULL, 0));
  CheckChild(sender);
  Pass();
}
