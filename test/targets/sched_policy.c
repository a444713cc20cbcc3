/* A scheduling policy, priority and nice value of its own in each thread. */
#include <sched.h>
#include <sys/resource.h>

#include "test/targets/target.h"

typedef struct {
  int policy, priority, nice;
} Schedule;

static const Schedule kSchedules[] = {
    {SCHED_FIFO, 5, 0},   {SCHED_RR, 7, 0},     {SCHED_BATCH, 0, 3}, {SCHED_IDLE, 0, 0},
    {SCHED_OTHER, 0, 11}, {SCHED_OTHER, 0, -6}, {SCHED_OTHER, 0, 0}};
enum { kThreads = sizeof(kSchedules) / sizeof(kSchedules[0]) };

static void* Body(void* argument) {
  const Schedule* schedule = argument;
  struct sched_param parameter = {.sched_priority = schedule->priority};
  REQUIRE(sched_setscheduler(0, schedule->policy, &parameter) == 0);
  REQUIRE(setpriority(PRIO_PROCESS, 0, schedule->nice) == 0);
  ThreadReady();
  WaitForGo();
  EXPECT_EQ(schedule->policy, sched_getscheduler(0));
  EXPECT(sched_getparam(0, &parameter) == 0);
  EXPECT_EQ(schedule->priority, parameter.sched_priority);
  EXPECT_EQ(schedule->nice, getpriority(PRIO_PROCESS, 0));
  return NULL;
}

int main(void) {
  pthread_t threads[kThreads];
  for (int i = 0; i < kThreads; ++i) threads[i] = StartThread(Body, (void*)&kSchedules[i]);
  WaitThreadsReady(kThreads);
  Checkpoint();
  for (int i = 0; i < kThreads; ++i) Join(threads[i]);
  Pass();
}
