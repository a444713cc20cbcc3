/* The restartable sequence area: still registered, and still kept up to date by the kernel. */
#include <sched.h>
#include <sys/rseq.h>

#include "test/targets/target.h"

static struct rseq* Area(void) {
  return (struct rseq*)((char*)__builtin_thread_pointer() + __rseq_offset);
}

static void Check(void) {
  /* Registering once more: EBUSY says "already, with just this area, size and signature". */
  EXPECT_EQ(-1, syscall(SYS_rseq, Area(), 32, 0, RSEQ_SIG));
  EXPECT_EQ(EBUSY, errno);
  cpu_set_t allowed;
  EXPECT(sched_getaffinity(0, sizeof(allowed), &allowed) == 0);
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &allowed)) continue;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    EXPECT(sched_setaffinity(0, sizeof(one), &one) == 0);
    EXPECT_EQ(cpu, *(volatile uint32_t*)&Area()->cpu_id);
  }
}

static void* Body(void* unused) {
  ThreadReady();
  WaitForGo();
  Check();
  return unused;
}

int main(void) {
  if (__rseq_size == 0) Skip("this libc did not register an area");
  pthread_t threads[2];
  for (int i = 0; i < 2; ++i) threads[i] = StartThread(Body, NULL);
  WaitThreadsReady(2);
  Checkpoint();
  Check();
  for (int i = 0; i < 2; ++i) Join(threads[i]);
  Pass();
}
