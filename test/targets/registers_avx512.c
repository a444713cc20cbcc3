/* The AVX-512 registers and masks of a thread that runs over the dump. */
#include "test/targets/spin_registers.h"

__attribute__((target("avx512f,avx512bw"))) static void* Spin(void* unused) {
  ThreadReady();
  SPIN_BETWEEN(REGISTERS_0_31(LOAD, vmovaps, zmm, 64, 0) REGISTERS_0_7(LOAD, kmovq, k, 8, 2048),
               REGISTERS_0_31(STORE, vmovaps, zmm, 64, 0)
                   REGISTERS_0_7(STORE, kmovq, k, 8, 2048) "vzeroupper");
  return unused;
}

int main(void) {
  if (!__builtin_cpu_supports("avx512bw")) Skip("this processor has no avx512bw");
  SpinOverDump(Spin, "zmm0...zmm31, k0...k7", 32 * 64 + 8 * 8);
}
