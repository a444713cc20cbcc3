/* A thread that maps and unmaps without a pause, beside memory that stays. */
#include "test/targets/target.h"

static volatile int stop;

static void* Allocate(void* unused) {
  ThreadReady();
  uint64_t round = 0;
  while (!stop) {
    size_t size = (1 + round % 7) * 4096;
    char* area = Map(size);
    Fill(area, size, round);
    ExpectFilled("fresh memory", area, size, round);
    EXPECT(munmap(area, size) == 0);
    ++round;
  }
  EXPECT(round > 10);
  return unused;
}

int main(void) {
  char* stays = Map(1 << 20);
  Fill(stays, 1 << 20, 17);
  pthread_t thread = StartThread(Allocate, NULL);
  WaitThreadsReady(1);
  SleepMs(5);
  Checkpoint();
  SleepMs(20);
  stop = 1;
  Join(thread);
  ExpectFilled("memory that stays", stays, 1 << 20, 17);
  Pass();
}
