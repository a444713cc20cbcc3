/* The fs and gs bases of several threads. */
#include <asm/prctl.h>

#include "test/targets/target.h"

enum { kThreads = 3 };
static uint64_t areas[kThreads + 1] = {0x1111, 0x2222, 0x3333, 0x4444};

static unsigned long Base(int code) {
  unsigned long base = 0;
  EXPECT(syscall(SYS_arch_prctl, code, &base) == 0);
  return base;
}

static void SetAndCheck(int number, Event (*wait)(void)) {
  REQUIRE(syscall(SYS_arch_prctl, ARCH_SET_GS, &areas[number]) == 0);
  unsigned long fs = Base(ARCH_GET_FS);
  wait();
  EXPECT_EQ(fs, Base(ARCH_GET_FS));
  EXPECT_EQ(&areas[number], Base(ARCH_GET_GS));
  uint64_t through_gs;
  __asm__ volatile("mov %%gs:0, %0" : "=r"(through_gs));
  EXPECT_EQ(areas[number], through_gs);
  EXPECT_EQ(pthread_self(), fs);
}

static Event WaitAsThread(void) {
  ThreadReady();
  return WaitForGo();
}

static void* Body(void* number) {
  SetAndCheck((int)(intptr_t)number, WaitAsThread);
  return NULL;
}

int main(void) {
  pthread_t threads[kThreads];
  for (intptr_t i = 0; i < kThreads; ++i) threads[i] = StartThread(Body, (void*)i);
  WaitThreadsReady(kThreads);
  SetAndCheck(kThreads, Checkpoint);
  for (int i = 0; i < kThreads; ++i) Join(threads[i]);
  Pass();
}
