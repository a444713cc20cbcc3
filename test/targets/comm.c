/* A name of its own in each thread, odd ones too. */
#include <sys/prctl.h>

#include "test/targets/target.h"

static const char* const kNames[] = {"plain", "two words",       "a) R 1 (b",
                                     "",      "fifteen letters", "back\\slash"};
enum { kThreads = sizeof(kNames) / sizeof(kNames[0]) };

static void* Body(void* name) {
  REQUIRE(prctl(PR_SET_NAME, name) == 0);
  ThreadReady();
  WaitForGo();
  char now[16] = "?";
  EXPECT(prctl(PR_GET_NAME, now) == 0);
  EXPECT_STREQ((const char*)name, now);
  return NULL;
}

int main(void) {
  pthread_t threads[kThreads];
  for (int i = 0; i < kThreads; ++i) threads[i] = StartThread(Body, (void*)kNames[i]);
  WaitThreadsReady(kThreads);
  REQUIRE(prctl(PR_SET_NAME, "the leader") == 0);
  Checkpoint();
  char now[16] = "?";
  EXPECT(prctl(PR_GET_NAME, now) == 0);
  EXPECT_STREQ("the leader", now);
  for (int i = 0; i < kThreads; ++i) Join(threads[i]);
  Pass();
}
