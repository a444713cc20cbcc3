/* Descriptors of processes: of itself, its parent, a child that lives, one that is a zombie, and
 * two that are gone. */
#include <poll.h>
#include <sys/wait.h>

#include "test/targets/family.h"
#include "test/targets/target.h"

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

static int Open(pid_t pid, unsigned flags) {
  return (int)REQUIRE_SYSCALL(syscall(SYS_pidfd_open, pid, flags));
}

static int SendSignal(int pidfd, int signal) {
  return (int)syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0);
}

static bool HasEnded(int pidfd) {
  struct pollfd polled = {.fd = pidfd, .events = POLLIN};
  return poll(&polled, 1, 0) == 1;
}

static int PidOf(int pidfd) {
  char path[48];
  snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
  const char* line = strstr(ReadText(path), "\nPid:");
  EXPECT(line != NULL);
  return atoi(line + 5);
}

static pid_t Ended(int code) {
  const pid_t pid = REQUIRE_SYSCALL(fork());
  if (pid == 0) _exit(code);
  siginfo_t info;
  REQUIRE_SYSCALL(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT));
  return pid;
}

static int of_parent;

static void Watcher(Child* self, void* unused) {
  (void)unused;
  AwaitCheck(self);
  EXPECT_EQ(getppid(), PidOf(of_parent));
  EXPECT(!HasEnded(of_parent));
  EXPECT_EQ(0, SendSignal(of_parent, 0));
}

int main(void) {
  of_parent = Open(getpid(), 0);
  Child* watcher = StartChild(0, Watcher, NULL);
  const int living = Open(watcher->pid, 0);
  const int same = Open(watcher->pid, O_NONBLOCK);
  REQUIRE_SYSCALL(fcntl(same, F_SETFD, 0));
  const int copy = REQUIRE_SYSCALL(dup(living));
  const int zombie = Open(Ended(7), 0);
  const pid_t first = Ended(1), second = Ended(2);
  const int gone = Open(first, 0), gone_too = Open(first, 0), other = Open(second, 0);
  REQUIRE_SYSCALL(waitpid(first, NULL, 0));
  REQUIRE_SYSCALL(waitpid(second, NULL, 0));

  Checkpoint();

  EXPECT_EQ(getpid(), PidOf(of_parent));
  EXPECT_EQ(watcher->pid, PidOf(living));
  EXPECT_EQ(watcher->pid, PidOf(same));
  EXPECT_EQ(watcher->pid, PidOf(copy));
  EXPECT_EQ(FD_CLOEXEC, fcntl(living, F_GETFD));
  EXPECT_EQ(0, fcntl(same, F_GETFD));
  EXPECT_EQ(0, fcntl(living, F_GETFL) & O_NONBLOCK);
  EXPECT_EQ(O_NONBLOCK, fcntl(same, F_GETFL) & O_NONBLOCK);
  EXPECT(!HasEnded(living));
  EXPECT_EQ(0, SendSignal(living, 0));
  siginfo_t info = {0};
  EXPECT(HasEnded(zombie));
  EXPECT_EQ(0, waitid(P_PIDFD, (id_t)zombie, &info, WEXITED));
  EXPECT_EQ(CLD_EXITED, info.si_code);
  EXPECT_EQ(7, info.si_status);
  const int dead[] = {gone, gone_too, other};
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(-1, PidOf(dead[i]));
    EXPECT(HasEnded(dead[i]));
    EXPECT_EQ(-1, SendSignal(dead[i], 0));
    EXPECT_EQ(ESRCH, errno);
    EXPECT_EQ(-1, waitid(P_PIDFD, (id_t)dead[i], &info, WEXITED));
    EXPECT_EQ(ECHILD, errno);
  }
  CheckChild(watcher);
  EXPECT(HasEnded(living));
  Pass();
}
