/* A thread in strict seccomp mode, blocked in one of the few calls it has left. */
#include <linux/seccomp.h>
#include <sys/prctl.h>

#include "test/targets/target.h"

static int pipe_fds[2];
static pid_t tid;
static char byte;

static void* Body(void* unused) {
  tid = Tid();
  ThreadReady();
  REQUIRE(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) == 0);
  long got = syscall(SYS_read, pipe_fds[0], &byte, 1);
  if (got != 1) byte = '!';
  /* Neither libc's way out of a thread nor exit_group would be allowed. */
  for (;;) syscall(SYS_exit, 0);
  return unused;
}

static const char* Mode(void) {
  char path[64];
  snprintf(path, sizeof(path), "/proc/self/task/%d/status", tid);
  const char* mode = strstr(ReadText(path), "\nSeccomp:\t");
  return mode ? mode + strlen("\nSeccomp:\t") : "";
}

int main(void) {
  REQUIRE(pipe(pipe_fds) == 0);
  pthread_t thread = StartThread(Body, NULL);
  WaitThreadsReady(1);
  WaitUntilIn(tid, SYS_read);
  Checkpoint();
  EXPECT_EQ('1', Mode()[0]);
  EXPECT_EQ(1, write(pipe_fds[1], "s", 1));
  Join(thread);
  EXPECT_EQ('s', byte);
  Pass();
}
