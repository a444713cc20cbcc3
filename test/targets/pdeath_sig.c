/* The signal that a thread asked for at its parent's death. */
#include <sys/prctl.h>

#include "test/targets/target.h"

static int Signal(void) {
  int number = -1;
  EXPECT(prctl(PR_GET_PDEATHSIG, &number) == 0);
  return number;
}

static void* Body(void* unused) {
  REQUIRE(prctl(PR_SET_PDEATHSIG, SIGUSR2) == 0);
  ThreadReady();
  WaitForGo();
  EXPECT_EQ(SIGUSR2, Signal());
  return unused;
}

int main(void) {
  /* Ignored, as the parent of a restored task is one that ends. */
  signal(SIGUSR1, SIG_IGN);
  signal(SIGUSR2, SIG_IGN);
  REQUIRE(prctl(PR_SET_PDEATHSIG, SIGUSR1) == 0);
  pthread_t thread = StartThread(Body, NULL);
  WaitThreadsReady(1);
  Checkpoint();
  EXPECT_EQ(SIGUSR1, Signal());
  Join(thread);
  Pass();
}
