/* A stopped process whose other threads were in system calls. */
#include "test/targets/target.h"

static int pipe_fds[2];
static pid_t reader;

static void* Read(void* unused) {
  char byte = 0;
  reader = Tid();
  ThreadReady();
  EXPECT_EQ(1, read(pipe_fds[0], &byte, 1));
  EXPECT_EQ('t', byte);
  return unused;
}

int main(void) {
  REQUIRE(pipe(pipe_fds) == 0);
  pthread_t thread = StartThread(Read, NULL);
  WaitThreadsReady(1);
  WaitUntilIn(reader, SYS_read);
  Ready();
  REQUIRE(kill(getpid(), SIGSTOP) == 0);
  EXPECT(access("go", F_OK) == 0);
  EXPECT_EQ(1, write(pipe_fds[1], "t", 1));
  Join(thread);
  Pass();
}
