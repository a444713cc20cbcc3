/* Fifty threads, each with a name, a mask, a thread variable, a stack and a nice value of its own.
 */
#include <sys/prctl.h>
#include <sys/resource.h>

#include "test/targets/target.h"

enum { kThreads = 50 };
static __thread uint64_t own[16];
static pid_t tids[kThreads];

static void* Body(void* argument) {
  int number = (int)(intptr_t)argument;
  char name[16], name_now[16];
  snprintf(name, sizeof(name), "worker %d", number);
  REQUIRE(prctl(PR_SET_NAME, name) == 0);
  uint64_t mask = 1ull << (34 + number % 30), mask_now = 0;
  REQUIRE(syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, sizeof(mask)) == 0);
  REQUIRE(setpriority(PRIO_PROCESS, 0, number % 19) == 0);
  uint64_t on_stack[512];
  Fill(on_stack, sizeof(on_stack), number);
  Fill(own, sizeof(own), 1000 + number);
  tids[number] = Tid();
  ThreadReady();
  WaitForGo();
  EXPECT_EQ(tids[number], Tid());
  ExpectFilled("stack", on_stack, sizeof(on_stack), number);
  ExpectFilled("thread variable", own, sizeof(own), 1000 + number);
  EXPECT(prctl(PR_GET_NAME, name_now) == 0);
  EXPECT_STREQ(name, name_now);
  EXPECT(syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &mask_now, sizeof(mask)) == 0);
  EXPECT_EQ(mask, mask_now);
  EXPECT_EQ(number % 19, getpriority(PRIO_PROCESS, 0));
  return argument;
}

int main(void) {
  pthread_t threads[kThreads];
  for (intptr_t i = 0; i < kThreads; ++i) threads[i] = StartThread(Body, (void*)i);
  WaitThreadsReady(kThreads);
  Checkpoint();
  for (int i = 0; i < kThreads; ++i) Join(threads[i]);
  Pass();
}
