/* The word that the kernel clears and wakes when a thread ends: pthread_join lives by it. */
#include <sys/prctl.h>

#include "test/targets/target.h"

enum { kThreads = 3 };
static int* addresses[kThreads + 1];

static int* Address(void) {
  int* address = NULL;
  REQUIRE(prctl(PR_GET_TID_ADDRESS, &address) == 0);
  return address;
}

static void* Body(void* argument) {
  intptr_t number = (intptr_t)argument;
  addresses[number] = Address();
  ThreadReady();
  WaitForGo();
  EXPECT_EQ(addresses[number], Address());
  EXPECT_EQ(Tid(), *addresses[number]);
  return (void*)(number + 1);
}

int main(void) {
  pthread_t threads[kThreads];
  for (intptr_t i = 0; i < kThreads; ++i) threads[i] = StartThread(Body, (void*)i);
  WaitThreadsReady(kThreads);
  int* address = Address();
  Checkpoint();
  EXPECT_EQ(address, Address());
  for (intptr_t i = 0; i < kThreads; ++i) {
    void* result = NULL;
    EXPECT_EQ(0, pthread_join(threads[i], &result));
    EXPECT_EQ(i + 1, result);
  }
  Pass();
}
