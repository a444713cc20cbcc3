/* One filter for all threads. */
#include "test/targets/seccomp_common.h"

static void* Body(void* unused) {
  ThreadReady();
  WaitForGo();
  ExpectRefused(SYS_getppid, 77);
  EXPECT_STREQ("1", StatusField("Seccomp_filters"));
  return unused;
}

int main(void) {
  pthread_t thread = StartThread(Body, NULL);
  WaitThreadsReady(1);
  RefuseCall(SYS_getppid, 77, SECCOMP_FILTER_FLAG_TSYNC);
  Checkpoint();
  ExpectRefused(SYS_getppid, 77);
  EXPECT(getpgrp() > 0);
  Join(thread);
  Pass();
}
