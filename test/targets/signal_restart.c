/* SA_RESTART: a read that a handler interrupts after the dump goes on. */
#include "test/targets/target.h"

static int pipe_fds[2];
static pid_t reader;
static volatile int handled;

static void Handle(int number) {
  (void)number;
  handled = 1;
}

static void* Read(void* unused) {
  char byte = 0;
  reader = Tid();
  ThreadReady();
  EXPECT_EQ(1, read(pipe_fds[0], &byte, 1));
  EXPECT_EQ('r', byte);
  EXPECT_EQ(1, handled);
  return unused;
}

int main(void) {
  REQUIRE(pipe(pipe_fds) == 0);
  struct sigaction action = {.sa_handler = Handle, .sa_flags = SA_RESTART};
  sigaction(SIGUSR1, &action, NULL);
  pthread_t thread = StartThread(Read, NULL);
  WaitThreadsReady(1);
  WaitUntilIn(reader, SYS_read);
  Checkpoint();
  EXPECT_EQ(0, handled);
  EXPECT_EQ(0, pthread_kill(thread, SIGUSR1));
  while (!handled) SleepMs(1);
  WaitUntilIn(reader, SYS_read);
  EXPECT_EQ(1, write(pipe_fds[1], "r", 1));
  Join(thread);
  Pass();
}
