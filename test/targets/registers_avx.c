/* The AVX registers, upper halves included, of a thread that runs over the dump. */
#include "test/targets/spin_registers.h"

__attribute__((target("avx"))) static void* Spin(void* unused) {
  ThreadReady();
  SPIN_BETWEEN(REGISTERS_0_15(LOAD, vmovaps, ymm, 32, 0),
               REGISTERS_0_15(STORE, vmovaps, ymm, 32, 0) "vzeroupper");
  return unused;
}

int main(void) {
  if (!__builtin_cpu_supports("avx")) Skip("this processor has no avx");
  SpinOverDump(Spin, "ymm0...ymm15", 16 * 32);
}
