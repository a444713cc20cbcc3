/* The SSE registers of a thread that runs over the dump. */
#include "test/targets/target.h"

enum { kRegisters = 16, kSize = kRegisters * 16 };
static char values[kSize] __attribute__((aligned(64)));
static char after[kSize] __attribute__((aligned(64)));
volatile int spin = 1;

/* One block of assembly, so that no compiled code touches the registers in between. */
static void* Spin(void* unused) {
  ThreadReady();
  __asm__ volatile(
      "movaps 0(%[values]), %%xmm0\n\t"
      "movaps 16(%[values]), %%xmm1\n\t"
      "movaps 32(%[values]), %%xmm2\n\t"
      "movaps 48(%[values]), %%xmm3\n\t"
      "movaps 64(%[values]), %%xmm4\n\t"
      "movaps 80(%[values]), %%xmm5\n\t"
      "movaps 96(%[values]), %%xmm6\n\t"
      "movaps 112(%[values]), %%xmm7\n\t"
      "movaps 128(%[values]), %%xmm8\n\t"
      "movaps 144(%[values]), %%xmm9\n\t"
      "movaps 160(%[values]), %%xmm10\n\t"
      "movaps 176(%[values]), %%xmm11\n\t"
      "movaps 192(%[values]), %%xmm12\n\t"
      "movaps 208(%[values]), %%xmm13\n\t"
      "movaps 224(%[values]), %%xmm14\n\t"
      "movaps 240(%[values]), %%xmm15\n\t"
      "1: cmpl $0, spin(%%rip)\n\t"
      "jne 1b\n\t"
      "movaps %%xmm0, 0(%[after])\n\t"
      "movaps %%xmm1, 16(%[after])\n\t"
      "movaps %%xmm2, 32(%[after])\n\t"
      "movaps %%xmm3, 48(%[after])\n\t"
      "movaps %%xmm4, 64(%[after])\n\t"
      "movaps %%xmm5, 80(%[after])\n\t"
      "movaps %%xmm6, 96(%[after])\n\t"
      "movaps %%xmm7, 112(%[after])\n\t"
      "movaps %%xmm8, 128(%[after])\n\t"
      "movaps %%xmm9, 144(%[after])\n\t"
      "movaps %%xmm10, 160(%[after])\n\t"
      "movaps %%xmm11, 176(%[after])\n\t"
      "movaps %%xmm12, 192(%[after])\n\t"
      "movaps %%xmm13, 208(%[after])\n\t"
      "movaps %%xmm14, 224(%[after])\n\t"
      "movaps %%xmm15, 240(%[after])\n\t"
      :
      : [values] "r"(values), [after] "r"(after)
      : "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",
        "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
  return unused;
}

int main(void) {
  Fill(values, sizeof(values), 3);
  pthread_t thread = StartThread(Spin, NULL);
  WaitThreadsReady(1);
  SleepMs(5);
  Checkpoint();
  spin = 0;
  Join(thread);
  ExpectFilled("xmm0...xmm15", after, sizeof(after), 3);
  Pass();
}
