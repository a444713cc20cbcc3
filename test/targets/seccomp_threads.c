/* Filters that differ by thread, on a common one; and a thread that was there before any. */
#include "test/targets/seccomp_common.h"

enum { kThreads = 2 };

static void* Free(void* unused) {
  ThreadReady();
  WaitForGo();
  EXPECT_STREQ("0", StatusField("Seccomp"));
  return unused;
}

static void* Filtered(void* argument) {
  int number = (int)(intptr_t)argument;
  RefuseCall(number ? SYS_getsid : SYS_getpgid, 80 + number, 0);
  ThreadReady();
  WaitForGo();
  EXPECT_STREQ("2", StatusField("Seccomp_filters"));
  ExpectRefused(SYS_getppid, 79);
  ExpectRefused(number ? SYS_getsid : SYS_getpgid, 80 + number);
  EXPECT(syscall(number ? SYS_getpgid : SYS_getsid, 0) >= 0);
  return NULL;
}

int main(void) {
  pthread_t threads[kThreads + 1];
  threads[kThreads] = StartThread(Free, NULL);
  RefuseCall(SYS_getppid, 79, 0);
  for (intptr_t i = 0; i < kThreads; ++i) threads[i] = StartThread(Filtered, (void*)i);
  WaitThreadsReady(kThreads + 1);
  Checkpoint();
  EXPECT_STREQ("1", StatusField("Seccomp_filters"));
  ExpectRefused(SYS_getppid, 79);
  for (int i = 0; i <= kThreads; ++i) Join(threads[i]);
  Pass();
}
