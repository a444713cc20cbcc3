/* An alternate signal stack of its own in each thread, on which a handler then runs. */
#include "test/targets/target.h"

enum { kThreads = 2, kSize = 64 * 1024 };
static char stacks[kThreads + 1][kSize];
static __thread volatile int handled_on = -1;

static void Handle(int number) {
  (void)number;
  char here;
  for (int i = 0; i <= kThreads; ++i) {
    if (&here >= stacks[i] && &here < stacks[i] + kSize) handled_on = i;
  }
}

static void SetStack(int number) {
  stack_t stack = {.ss_sp = stacks[number], .ss_size = kSize};
  REQUIRE(sigaltstack(&stack, NULL) == 0);
}

static void Check(int number) {
  stack_t stack = {0};
  EXPECT(sigaltstack(NULL, &stack) == 0);
  EXPECT_EQ(stacks[number], stack.ss_sp);
  EXPECT_EQ(kSize, stack.ss_size);
  EXPECT_EQ(0, stack.ss_flags);
  EXPECT(pthread_kill(pthread_self(), SIGUSR1) == 0);
  EXPECT_EQ(number, handled_on);
}

static void* Body(void* number) {
  SetStack((int)(intptr_t)number);
  ThreadReady();
  WaitForGo();
  Check((int)(intptr_t)number);
  return NULL;
}

static void* WithoutStack(void* unused) {
  ThreadReady();
  WaitForGo();
  stack_t stack = {0};
  EXPECT(sigaltstack(NULL, &stack) == 0);
  EXPECT_EQ(SS_DISABLE, stack.ss_flags);
  return unused;
}

int main(void) {
  struct sigaction action = {.sa_handler = Handle, .sa_flags = SA_ONSTACK};
  sigaction(SIGUSR1, &action, NULL);
  SetStack(kThreads);
  pthread_t threads[kThreads + 1];
  for (intptr_t i = 0; i < kThreads; ++i) threads[i] = StartThread(Body, (void*)i);
  threads[kThreads] = StartThread(WithoutStack, NULL);
  WaitThreadsReady(kThreads + 1);
  Checkpoint();
  Check(kThreads);
  for (int i = 0; i <= kThreads; ++i) Join(threads[i]);
  Pass();
}
