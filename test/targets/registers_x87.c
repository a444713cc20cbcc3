/* The x87 stack, control word and MXCSR of a thread that holds them over the dump. */
#include "test/targets/target.h"

volatile int spin = 1;

static const double kValues[] = {1.5, -2.25, 3e300, 4e-300, 0.1};
enum { kCount = sizeof(kValues) / sizeof(kValues[0]) };

static void* Hold(void* unused) {
  /* Round towards zero, 53 bits; flush to zero and round up in SSE: none of them the default. */
  uint16_t control = 0x0e7f;
  uint32_t mxcsr = 0xdf80;
  uint16_t control_after = 0;
  uint32_t mxcsr_after = 0;
  double after[kCount];
  ThreadReady();
  __asm__ volatile(
      "fninit\n\t"
      "fldcw %[control]\n\t"
      "ldmxcsr %[mxcsr]\n\t"
      "fldl 0(%[values])\n\t fldl 8(%[values])\n\t fldl 16(%[values])\n\t"
      "fldl 24(%[values])\n\t fldl 32(%[values])\n"
      "1: cmpl $0, spin(%%rip)\n\t"
      "jne 1b\n\t"
      "fnstcw %[control_after]\n\t"
      "stmxcsr %[mxcsr_after]\n\t"
      "fstpl 32(%[after])\n\t fstpl 24(%[after])\n\t fstpl 16(%[after])\n\t"
      "fstpl 8(%[after])\n\t fstpl 0(%[after])\n\t"
      "fninit"
      : [control_after] "=m"(control_after), [mxcsr_after] "=m"(mxcsr_after)
      : [control] "m"(control), [mxcsr] "m"(mxcsr), [values] "r"(kValues), [after] "r"(after)
      : "memory", "cc", "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)");
  uint32_t usual_mxcsr = 0x1f80;
  __asm__ volatile("ldmxcsr %0" : : "m"(usual_mxcsr));
  EXPECT_EQ(control, control_after);
  EXPECT_EQ(mxcsr, mxcsr_after);
  EXPECT(memcmp(kValues, after, sizeof(after)) == 0);
  return unused;
}

int main(void) {
  pthread_t thread = StartThread(Hold, NULL);
  WaitThreadsReady(1);
  SleepMs(5);
  Checkpoint();
  spin = 0;
  Join(thread);
  Pass();
}
