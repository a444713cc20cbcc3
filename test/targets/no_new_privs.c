/* no_new_privs, in one thread only. */
#include <sys/prctl.h>

#include "test/targets/target.h"

static void* Body(void* unused) {
  REQUIRE(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
  ThreadReady();
  WaitForGo();
  EXPECT_EQ(1, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
  return unused;
}

int main(void) {
  pthread_t thread = StartThread(Body, NULL);
  WaitThreadsReady(1);
  Checkpoint();
  EXPECT_EQ(0, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
  Join(thread);
  Pass();
}
