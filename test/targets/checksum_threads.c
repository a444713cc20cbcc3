/* Two threads that compute over the dump, in vector and in general registers, and never disagree.
 */
#include "test/targets/target.h"

typedef uint32_t Lanes __attribute__((vector_size(32)));

static volatile int stop;

/* The same sequence eight times in one vector and once in a scalar. */
__attribute__((target_clones("avx2", "default"))) static uint64_t Compute(uint32_t seed) {
  Lanes lanes = {seed, seed, seed, seed, seed, seed, seed, seed};
  uint32_t scalar = seed;
  double sum = 0;
  uint64_t rounds = 0;
  while (!stop) {
    for (int i = 0; i < 1000; ++i) {
      lanes = lanes * 1664525u + 1013904223u;
      scalar = scalar * 1664525u + 1013904223u;
      sum += 0.5;
    }
    ++rounds;
    for (int i = 0; i < 8; ++i) {
      if (lanes[i] != scalar) Fail("round %llu: lane %d", (unsigned long long)rounds, i);
    }
    if (sum != (double)rounds * 500) Fail("round %llu: sum %f", (unsigned long long)rounds, sum);
  }
  return rounds;
}

static void* Body(void* seed) {
  ThreadReady();
  if (Compute((uint32_t)(intptr_t)seed) < 10) Fail("hardly computed anything");
  return NULL;
}

int main(void) {
  pthread_t threads[2];
  for (intptr_t i = 0; i < 2; ++i) threads[i] = StartThread(Body, (void*)(i + 7));
  WaitThreadsReady(2);
  Checkpoint();
  SleepMs(50);
  stop = 1;
  for (int i = 0; i < 2; ++i) Join(threads[i]);
  Pass();
}
