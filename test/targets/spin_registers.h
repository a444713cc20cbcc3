/* A thread that keeps known values in its vector registers, and spins, over the dump. */
#ifndef TEST_TARGETS_SPIN_REGISTERS_H_
#define TEST_TARGETS_SPIN_REGISTERS_H_

#include "test/targets/target.h"

enum { kMostBytes = 32 * 64 + 8 * 8 }; /* zmm0...zmm31, k0...k7 */
static char values[kMostBytes] __attribute__((aligned(64)));
static char after[kMostBytes] __attribute__((aligned(64)));
volatile int spin = 1;

/* Assembly that moves register number n of a bank of registers from `values`, or to `after`; each
 * is `size` bytes, the first `base` bytes from the beginning. */
#define LOAD(move, bank, size, base, n) \
#move " " #base "+" #n "*" #size "(%[values]), %%" #bank #n "\n\t"
#define STORE(move, bank, size, base, n) \
#move " %%" #bank #n ", " #base "+" #n "*" #size "(%[after])\n\t"

#define REGISTERS_0_7(way, ...)                                                   \
  way(__VA_ARGS__, 0) way(__VA_ARGS__, 1) way(__VA_ARGS__, 2) way(__VA_ARGS__, 3) \
      way(__VA_ARGS__, 4) way(__VA_ARGS__, 5) way(__VA_ARGS__, 6) way(__VA_ARGS__, 7)
#define REGISTERS_8_15(way, ...)                                                    \
  way(__VA_ARGS__, 8) way(__VA_ARGS__, 9) way(__VA_ARGS__, 10) way(__VA_ARGS__, 11) \
      way(__VA_ARGS__, 12) way(__VA_ARGS__, 13) way(__VA_ARGS__, 14) way(__VA_ARGS__, 15)
#define REGISTERS_16_31(way, ...)                                                             \
  way(__VA_ARGS__, 16) way(__VA_ARGS__, 17) way(__VA_ARGS__, 18) way(__VA_ARGS__, 19)         \
      way(__VA_ARGS__, 20) way(__VA_ARGS__, 21) way(__VA_ARGS__, 22) way(__VA_ARGS__, 23)     \
          way(__VA_ARGS__, 24) way(__VA_ARGS__, 25) way(__VA_ARGS__, 26) way(__VA_ARGS__, 27) \
              way(__VA_ARGS__, 28) way(__VA_ARGS__, 29) way(__VA_ARGS__, 30) way(__VA_ARGS__, 31)
#define REGISTERS_0_15(...) REGISTERS_0_7(__VA_ARGS__) REGISTERS_8_15(__VA_ARGS__)
#define REGISTERS_0_31(...) REGISTERS_0_15(__VA_ARGS__) REGISTERS_16_31(__VA_ARGS__)

/* One block of assembly, so that no compiled code touches the registers in between. */
#define SPIN_BETWEEN(load, store)                                                            \
  __asm__ volatile(load                                                                      \
                   "1: cmpl $0, spin(%%rip)\n\t"                                             \
                   "jne 1b\n\t" store                                                        \
                   :                                                                         \
                   : [values] "r"(values), [after] "r"(after)                                \
                   : "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", \
                     "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15")

/* `body` says ThreadReady() and spins; `size` bytes of `values` are in the registers meanwhile. */
static inline void SpinOverDump(void* (*body)(void*), const char* registers, size_t size) {
  Fill(values, size, 3);
  pthread_t thread = StartThread(body, NULL);
  WaitThreadsReady(1);
  SleepMs(5);
  Checkpoint();
  spin = 0;
  Join(thread);
  ExpectFilled(registers, after, size, 3);
  Pass();
}

#endif /* TEST_TARGETS_SPIN_REGISTERS_H_ */
