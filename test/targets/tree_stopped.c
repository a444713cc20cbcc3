/* Children that job control has stopped stay so, and go on with SIGCONT. */
#include <sys/wait.h>

#include "test/targets/family.h"
#include "test/targets/target.h"

static void Stand(Child* self, void* unused) {
  (void)unused;
  AwaitCheck(self);
}

static void Stop(pid_t pid, int signal) {
  REQUIRE_SYSCALL(kill(pid, signal));
  siginfo_t info;
  REQUIRE_SYSCALL(waitid(P_PID, pid, &info, WSTOPPED | WNOWAIT));
}

static void ExpectStopped(Child* child) {
  EXPECT_EQ(1, write(child->go[1], "g", 1)); /* which a stopped one does not take */
  SleepMs(20);
  EXPECT_EQ('T', StateOfTask(child->pid));
  EXPECT_EQ(0, kill(child->pid, SIGCONT));
  int status = -1;
  do {
    EXPECT_EQ(child->pid, waitpid(child->pid, &status, 0));
  } while (WIFSTOPPED(status));
  EXPECT_EQ(0, status);
}

int main(void) {
  Child* stopped = StartChild(0, Stand, NULL);
  Child* suspended = StartChild(0, Stand, NULL);
  Child* running = StartChild(0, Stand, NULL);
  Stop(stopped->pid, SIGSTOP);
  /* A group without anybody in the session who could let it go on is never suspended. */
  REQUIRE_SYSCALL(setpgid(suspended->pid, 0));
  Stop(suspended->pid, SIGTSTP);

  Checkpoint();

  ExpectStopped(stopped);
  ExpectStopped(suspended);
  CheckChild(running);
  Pass();
}
