/* A signal mask of its own in each thread, real-time signals included. */
#include "test/targets/target.h"

enum { kThreads = 4 };

/* Bits only where a thread may block: not SIGKILL and SIGSTOP, nor the two that libc keeps. */
static uint64_t MaskOf(int number) {
  static const uint64_t kMasks[] = {0, 0x8000000000000201, 0x0000000200002000, 0x5555555500005455,
                                    0x4000000800014e00};
  return kMasks[number];
}

static uint64_t Mask(void) {
  uint64_t mask = 0;
  EXPECT(syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &mask, sizeof(mask)) == 0);
  return mask;
}

static void SetMask(uint64_t mask) {
  REQUIRE(syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, sizeof(mask)) == 0);
}

static void* Body(void* number) {
  SetMask(MaskOf((int)(intptr_t)number));
  ThreadReady();
  WaitForGo();
  EXPECT_EQ(MaskOf((int)(intptr_t)number), Mask());
  return NULL;
}

int main(void) {
  pthread_t threads[kThreads];
  for (intptr_t i = 0; i < kThreads; ++i) threads[i] = StartThread(Body, (void*)i);
  WaitThreadsReady(kThreads);
  SetMask(MaskOf(kThreads));
  Checkpoint();
  EXPECT_EQ(MaskOf(kThreads), Mask());
  for (int i = 0; i < kThreads; ++i) Join(threads[i]);
  Pass();
}
