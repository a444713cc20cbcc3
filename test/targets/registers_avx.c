/* The AVX registers, upper halves included, of a thread that runs over the dump. */
#include "test/targets/target.h"

enum { kRegisters = 16, kSize = kRegisters * 32 };
static char values[kSize] __attribute__((aligned(64)));
static char after[kSize] __attribute__((aligned(64)));
volatile int spin = 1;

/* One block of assembly, so that no compiled code touches the registers in between. */
__attribute__((target("avx"))) static void* Spin(void* unused) {
  ThreadReady();
  __asm__ volatile(
      "vmovaps 0(%[values]), %%ymm0\n\t"
      "vmovaps 32(%[values]), %%ymm1\n\t"
      "vmovaps 64(%[values]), %%ymm2\n\t"
      "vmovaps 96(%[values]), %%ymm3\n\t"
      "vmovaps 128(%[values]), %%ymm4\n\t"
      "vmovaps 160(%[values]), %%ymm5\n\t"
      "vmovaps 192(%[values]), %%ymm6\n\t"
      "vmovaps 224(%[values]), %%ymm7\n\t"
      "vmovaps 256(%[values]), %%ymm8\n\t"
      "vmovaps 288(%[values]), %%ymm9\n\t"
      "vmovaps 320(%[values]), %%ymm10\n\t"
      "vmovaps 352(%[values]), %%ymm11\n\t"
      "vmovaps 384(%[values]), %%ymm12\n\t"
      "vmovaps 416(%[values]), %%ymm13\n\t"
      "vmovaps 448(%[values]), %%ymm14\n\t"
      "vmovaps 480(%[values]), %%ymm15\n\t"
      "1: cmpl $0, spin(%%rip)\n\t"
      "jne 1b\n\t"
      "vmovaps %%ymm0, 0(%[after])\n\t"
      "vmovaps %%ymm1, 32(%[after])\n\t"
      "vmovaps %%ymm2, 64(%[after])\n\t"
      "vmovaps %%ymm3, 96(%[after])\n\t"
      "vmovaps %%ymm4, 128(%[after])\n\t"
      "vmovaps %%ymm5, 160(%[after])\n\t"
      "vmovaps %%ymm6, 192(%[after])\n\t"
      "vmovaps %%ymm7, 224(%[after])\n\t"
      "vmovaps %%ymm8, 256(%[after])\n\t"
      "vmovaps %%ymm9, 288(%[after])\n\t"
      "vmovaps %%ymm10, 320(%[after])\n\t"
      "vmovaps %%ymm11, 352(%[after])\n\t"
      "vmovaps %%ymm12, 384(%[after])\n\t"
      "vmovaps %%ymm13, 416(%[after])\n\t"
      "vmovaps %%ymm14, 448(%[after])\n\t"
      "vmovaps %%ymm15, 480(%[after])\n\t"
      "vzeroupper"
      :
      : [values] "r"(values), [after] "r"(after)
      : "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",
        "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
  return unused;
}

int main(void) {
  if (!__builtin_cpu_supports("avx")) Skip("this processor has no avx");
  Fill(values, sizeof(values), 3);
  pthread_t thread = StartThread(Spin, NULL);
  WaitThreadsReady(1);
  SleepMs(5);
  Checkpoint();
  spin = 0;
  Join(thread);
  ExpectFilled("ymm0...ymm15", after, sizeof(after), 3);
  Pass();
}
