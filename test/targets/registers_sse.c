/* The SSE registers of a thread that runs over the dump. */
#include "test/targets/spin_registers.h"

static void* Spin(void* unused) {
  ThreadReady();
  SPIN_BETWEEN(REGISTERS_0_15(LOAD, movaps, xmm, 16, 0), REGISTERS_0_15(STORE, movaps, xmm, 16, 0));
  return unused;
}

int main(void) { SpinOverDump(Spin, "xmm0...xmm15", 16 * 16); }
