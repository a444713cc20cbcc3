/* Children that have ended and that nobody has waited for: each keeps how it ended. */
#include <sys/resource.h>
#include <sys/wait.h>

#include "test/targets/target.h"

static pid_t Exits(int code) {
  const pid_t pid = REQUIRE_SYSCALL(fork());
  if (pid == 0) _exit(code);
  return pid;
}

static pid_t DiesOf(int signal) {
  const pid_t pid = REQUIRE_SYSCALL(fork());
  if (pid == 0) {
    const struct rlimit none = {0, 0};
    REQUIRE_SYSCALL(setrlimit(RLIMIT_CORE, &none));
    raise(signal);
    for (;;) pause();
  }
  return pid;
}

static void* Nothing(void* unused) { return unused; }

/* Of several threads, which are all gone. */
static pid_t OfThreads(void) {
  const pid_t pid = REQUIRE_SYSCALL(fork());
  if (pid == 0) {
    StartThread(Nothing, NULL);
    _exit(42);
  }
  return pid;
}

static void ExpectEnd(pid_t pid, int code, int end) {
  siginfo_t info = {0};
  EXPECT_EQ(0, waitid(P_PID, pid, &info, WEXITED));
  EXPECT_EQ(code, info.si_code);
  EXPECT_EQ(end, info.si_status);
}

int main(void) {
  const pid_t well = Exits(0);
  const pid_t ill = Exits(127);
  const pid_t killed = DiesOf(SIGKILL);
  const pid_t termed = DiesOf(SIGTERM);
  const pid_t threads = OfThreads();
  const pid_t all[] = {well, ill, killed, termed, threads};
  for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); ++i) {
    siginfo_t info;
    REQUIRE_SYSCALL(waitid(P_PID, all[i], &info, WEXITED | WNOWAIT));
  }

  Checkpoint();

  ExpectEnd(threads, CLD_EXITED, 42);
  ExpectEnd(termed, CLD_KILLED, SIGTERM);
  ExpectEnd(killed, CLD_KILLED, SIGKILL);
  ExpectEnd(ill, CLD_EXITED, 127);
  ExpectEnd(well, CLD_EXITED, 0);
  EXPECT(wait(NULL) == -1 && errno == ECHILD);
  Pass();
}
