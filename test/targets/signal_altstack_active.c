/* A thread that is dumped in the middle of a handler on its alternate stack, and returns from it.
 */
#include "test/targets/target.h"

enum { kSize = 64 * 1024 };
static char stack_memory[kSize];
static volatile int returned;

static void Handle(int number) {
  (void)number;
  char here;
  ThreadReady();
  WaitForGo();
  EXPECT(&here >= stack_memory && &here < stack_memory + kSize);
  stack_t stack = {0};
  EXPECT(sigaltstack(NULL, &stack) == 0);
  EXPECT_EQ(SS_ONSTACK, stack.ss_flags);
  EXPECT_EQ(stack_memory, stack.ss_sp);
}

static void* Body(void* unused) {
  stack_t stack = {.ss_sp = stack_memory, .ss_size = kSize};
  REQUIRE(sigaltstack(&stack, NULL) == 0);
  uint64_t local[8];
  Fill(local, sizeof(local), 5);
  pthread_kill(pthread_self(), SIGUSR1);
  ExpectFilled("locals below the handler", local, sizeof(local), 5);
  EXPECT(sigaltstack(NULL, &stack) == 0);
  EXPECT_EQ(0, stack.ss_flags);
  returned = 1;
  return unused;
}

int main(void) {
  struct sigaction action = {.sa_handler = Handle, .sa_flags = SA_ONSTACK};
  sigaction(SIGUSR1, &action, NULL);
  pthread_t thread = StartThread(Body, NULL);
  WaitThreadsReady(1);
  Checkpoint();
  Join(thread);
  EXPECT_EQ(1, returned);
  Pass();
}
