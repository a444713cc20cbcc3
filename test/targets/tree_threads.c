/* Children of a thread that is not the main one, which have threads themselves; and a thread that
 * waits for one of them. */
#include <sys/wait.h>

#include "test/targets/family.h"
#include "test/targets/target.h"

enum { kThreads = 4 };

static volatile bool check;
static pid_t awaited;
static pid_t waiter;

static void* Stay(void* number) {
  const pid_t tid = Tid();
  ThreadReady();
  while (!check) SleepMs(1);
  EXPECT_EQ(tid, Tid());
  return number;
}

static void WithThreads(Child* self, void* unused) {
  (void)unused;
  pthread_t threads[kThreads];
  for (int i = 0; i < kThreads; ++i) threads[i] = StartThread(Stay, NULL);
  WaitThreadsReady(kThreads);
  AwaitCheck(self);
  check = true;
  for (int i = 0; i < kThreads; ++i) Join(threads[i]);
}

static Child* child;

static void* Parent(void* unused) {
  child = StartChild(0, WithThreads, NULL);
  awaited = child->pid;
  waiter = Tid();
  int status = -1;
  EXPECT_EQ(awaited, waitpid(awaited, &status, 0)); /* sleeps here over the dump */
  EXPECT_EQ(0, status);
  return unused;
}

int main(void) {
  pthread_t parent = StartThread(Parent, NULL);
  while (!*(volatile pid_t*)&waiter) SleepMs(1);
  WaitUntilIn(waiter, SYS_wait4);

  Checkpoint();

  EXPECT_EQ(1, write(child->go[1], "g", 1));
  Join(parent);
  Pass();
}
