/* The protection key rights of two threads. */
#include "test/targets/target.h"

static uint32_t ReadPkru(void) {
  uint32_t low, high;
  __asm__ volatile("rdpkru" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

static void WritePkru(uint32_t value) {
  __asm__ volatile("wrpkru" : : "a"(value), "c"(0), "d"(0) : "memory");
}

static void* Body(void* unused) {
  uint32_t value = ReadPkru() ^ 0x0cf0;
  WritePkru(value);
  ThreadReady();
  WaitForGo();
  EXPECT_EQ(value, ReadPkru());
  return unused;
}

int main(void) {
  if (pkey_alloc(0, 0) < 0) Skip("this processor or kernel has no protection keys");
  uint32_t value = ReadPkru() ^ 0x0300;
  WritePkru(value);
  pthread_t thread = StartThread(Body, NULL);
  WaitThreadsReady(1);
  Checkpoint();
  EXPECT_EQ(value, ReadPkru());
  Join(thread);
  Pass();
}
