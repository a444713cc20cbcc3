/* The AVX-512 registers and masks of a thread that runs over the dump. */
#include "test/targets/target.h"

enum { kRegisters = 32, kSize = kRegisters * 64 + 8 * 8 };
static char values[kSize] __attribute__((aligned(64)));
static char after[kSize] __attribute__((aligned(64)));
volatile int spin = 1;

/* One block of assembly, so that no compiled code touches the registers in between. */
__attribute__((target("avx512f,avx512bw"))) static void* Spin(void* unused) {
  ThreadReady();
  __asm__ volatile(
      "vmovaps 0(%[values]), %%zmm0\n\t"
      "vmovaps 64(%[values]), %%zmm1\n\t"
      "vmovaps 128(%[values]), %%zmm2\n\t"
      "vmovaps 192(%[values]), %%zmm3\n\t"
      "vmovaps 256(%[values]), %%zmm4\n\t"
      "vmovaps 320(%[values]), %%zmm5\n\t"
      "vmovaps 384(%[values]), %%zmm6\n\t"
      "vmovaps 448(%[values]), %%zmm7\n\t"
      "vmovaps 512(%[values]), %%zmm8\n\t"
      "vmovaps 576(%[values]), %%zmm9\n\t"
      "vmovaps 640(%[values]), %%zmm10\n\t"
      "vmovaps 704(%[values]), %%zmm11\n\t"
      "vmovaps 768(%[values]), %%zmm12\n\t"
      "vmovaps 832(%[values]), %%zmm13\n\t"
      "vmovaps 896(%[values]), %%zmm14\n\t"
      "vmovaps 960(%[values]), %%zmm15\n\t"
      "vmovaps 1024(%[values]), %%zmm16\n\t"
      "vmovaps 1088(%[values]), %%zmm17\n\t"
      "vmovaps 1152(%[values]), %%zmm18\n\t"
      "vmovaps 1216(%[values]), %%zmm19\n\t"
      "vmovaps 1280(%[values]), %%zmm20\n\t"
      "vmovaps 1344(%[values]), %%zmm21\n\t"
      "vmovaps 1408(%[values]), %%zmm22\n\t"
      "vmovaps 1472(%[values]), %%zmm23\n\t"
      "vmovaps 1536(%[values]), %%zmm24\n\t"
      "vmovaps 1600(%[values]), %%zmm25\n\t"
      "vmovaps 1664(%[values]), %%zmm26\n\t"
      "vmovaps 1728(%[values]), %%zmm27\n\t"
      "vmovaps 1792(%[values]), %%zmm28\n\t"
      "vmovaps 1856(%[values]), %%zmm29\n\t"
      "vmovaps 1920(%[values]), %%zmm30\n\t"
      "vmovaps 1984(%[values]), %%zmm31\n\t"
      "kmovq 2048(%[values]), %%k0\n\t"
      "kmovq 2056(%[values]), %%k1\n\t"
      "kmovq 2064(%[values]), %%k2\n\t"
      "kmovq 2072(%[values]), %%k3\n\t"
      "kmovq 2080(%[values]), %%k4\n\t"
      "kmovq 2088(%[values]), %%k5\n\t"
      "kmovq 2096(%[values]), %%k6\n\t"
      "kmovq 2104(%[values]), %%k7\n\t"
      "1: cmpl $0, spin(%%rip)\n\t"
      "jne 1b\n\t"
      "vmovaps %%zmm0, 0(%[after])\n\t"
      "vmovaps %%zmm1, 64(%[after])\n\t"
      "vmovaps %%zmm2, 128(%[after])\n\t"
      "vmovaps %%zmm3, 192(%[after])\n\t"
      "vmovaps %%zmm4, 256(%[after])\n\t"
      "vmovaps %%zmm5, 320(%[after])\n\t"
      "vmovaps %%zmm6, 384(%[after])\n\t"
      "vmovaps %%zmm7, 448(%[after])\n\t"
      "vmovaps %%zmm8, 512(%[after])\n\t"
      "vmovaps %%zmm9, 576(%[after])\n\t"
      "vmovaps %%zmm10, 640(%[after])\n\t"
      "vmovaps %%zmm11, 704(%[after])\n\t"
      "vmovaps %%zmm12, 768(%[after])\n\t"
      "vmovaps %%zmm13, 832(%[after])\n\t"
      "vmovaps %%zmm14, 896(%[after])\n\t"
      "vmovaps %%zmm15, 960(%[after])\n\t"
      "vmovaps %%zmm16, 1024(%[after])\n\t"
      "vmovaps %%zmm17, 1088(%[after])\n\t"
      "vmovaps %%zmm18, 1152(%[after])\n\t"
      "vmovaps %%zmm19, 1216(%[after])\n\t"
      "vmovaps %%zmm20, 1280(%[after])\n\t"
      "vmovaps %%zmm21, 1344(%[after])\n\t"
      "vmovaps %%zmm22, 1408(%[after])\n\t"
      "vmovaps %%zmm23, 1472(%[after])\n\t"
      "vmovaps %%zmm24, 1536(%[after])\n\t"
      "vmovaps %%zmm25, 1600(%[after])\n\t"
      "vmovaps %%zmm26, 1664(%[after])\n\t"
      "vmovaps %%zmm27, 1728(%[after])\n\t"
      "vmovaps %%zmm28, 1792(%[after])\n\t"
      "vmovaps %%zmm29, 1856(%[after])\n\t"
      "vmovaps %%zmm30, 1920(%[after])\n\t"
      "vmovaps %%zmm31, 1984(%[after])\n\t"
      "kmovq %%k0, 2048(%[after])\n\t"
      "kmovq %%k1, 2056(%[after])\n\t"
      "kmovq %%k2, 2064(%[after])\n\t"
      "kmovq %%k3, 2072(%[after])\n\t"
      "kmovq %%k4, 2080(%[after])\n\t"
      "kmovq %%k5, 2088(%[after])\n\t"
      "kmovq %%k6, 2096(%[after])\n\t"
      "kmovq %%k7, 2104(%[after])\n\t"
      "vzeroupper"
      :
      : [values] "r"(values), [after] "r"(after)
      : "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",
        "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
  return unused;
}

int main(void) {
  if (!__builtin_cpu_supports("avx512bw")) Skip("this processor has no avx512bw");
  Fill(values, sizeof(values), 3);
  pthread_t thread = StartThread(Spin, NULL);
  WaitThreadsReady(1);
  SleepMs(5);
  Checkpoint();
  spin = 0;
  Join(thread);
  ExpectFilled("zmm0...zmm31, k0...k7", after, sizeof(after), 3);
  Pass();
}
