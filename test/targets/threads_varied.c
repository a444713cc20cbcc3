/* Many threads, which differ from each other in what the kernel keeps of each; all but the first
 * wait in a system call. */
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "test/targets/seccomp_common.h"

enum { kThreads = 80, kKinds = 10, kStack = 16 * 1024 };

static pthread_barrier_t gone_on;
static char stacks[kThreads][kStack];
static void* tid_addresses[kThreads];
static pid_t tids[kThreads];
static int nice_at_first;

/* One that is ignored: the parent of a restored task is one that ends. */
static int DeathSignal(int number) { return number % 20 == 1 ? SIGUSR1 : SIGUSR2; }

static void Differ(int number) {
  char name[16];
  const stack_t stack = {.ss_sp = stacks[number], .ss_size = kStack - (size_t)number};
  const struct sched_param none = {0};
  sigset_t set;
  snprintf(name, sizeof name, "t\\%d\n x", number);
  REQUIRE(prctl(PR_SET_NAME, name) == 0);
  switch (number % kKinds) {
    case 0:
      REQUIRE(sigaltstack(&stack, NULL) == 0);
      break;
    case 1:
      REQUIRE(prctl(PR_SET_PDEATHSIG, DeathSignal(number)) == 0);
      break;
    case 2:
      REQUIRE(setpriority(PRIO_PROCESS, (id_t)Tid(), number % 19) == 0);
      break;
    case 3:
      REQUIRE(sched_setscheduler(0, SCHED_BATCH, &none) == 0);
      break;
    case 4: /* raw calls: the library's would change every thread */
      REQUIRE(syscall(SYS_setresgid, 2000 + number, 2001, 2002) == 0);
      break;
    case 5:
      REQUIRE(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
      break;
    case 6:
      REQUIRE(prctl(PR_GET_TID_ADDRESS, &tid_addresses[number]) == 0);
      REQUIRE(syscall(SYS_set_tid_address, stacks[number]) == Tid());
      break;
    case 7:
      sigemptyset(&set);
      sigaddset(&set, SIGUSR1);
      REQUIRE(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
      REQUIRE(pthread_kill(pthread_self(), SIGUSR1) == 0);
      break;
    case 8:
      REQUIRE(prctl(PR_SET_SECUREBITS, 1 << 4) == 0); /* SECBIT_KEEP_CAPS */
      break;
    default:
      if (number == 9) RefuseCall(SYS_getpgid, 80, 0);
  }
}

static void ExpectDifference(int number) {
  char name[16], wanted[16];
  stack_t stack;
  int value = 0;
  uint64_t address = 0;
  sigset_t set;
  snprintf(wanted, sizeof wanted, "t\\%d\n x", number);
  EXPECT(prctl(PR_GET_NAME, name) == 0);
  EXPECT_STREQ(wanted, name);
  EXPECT(sigaltstack(NULL, &stack) == 0);
  EXPECT_EQ(number % kKinds == 0 ? kStack - number : 0, stack.ss_size);
  EXPECT(prctl(PR_GET_PDEATHSIG, &value) == 0);
  EXPECT_EQ(number % kKinds == 1 ? DeathSignal(number) : 0, value);
  EXPECT_EQ(number % kKinds == 2 ? number % 19 : nice_at_first,
            getpriority(PRIO_PROCESS, (id_t)Tid()));
  EXPECT_EQ(number % kKinds == 3 ? SCHED_BATCH : SCHED_OTHER, sched_getscheduler(0));
  EXPECT_EQ(number % kKinds == 4 ? 2000 + number : 0, syscall(SYS_getgid));
  EXPECT(prctl(PR_GET_TID_ADDRESS, &address) == 0);
  EXPECT_EQ(number % kKinds == 6, address == (uint64_t)stacks[number]);
  /* pthread_join waits for its own. */
  if (number % kKinds == 6) syscall(SYS_set_tid_address, tid_addresses[number]);
  EXPECT(sigpending(&set) == 0);
  EXPECT_EQ(number % kKinds == 7, sigismember(&set, SIGUSR1));
  EXPECT_EQ(number % kKinds == 8 ? 1 << 4 : 0, prctl(PR_GET_SECUREBITS));
  EXPECT_EQ(number == 9 ? SECCOMP_MODE_FILTER : 0, prctl(PR_GET_SECCOMP));
  if (number == 9) ExpectRefused(SYS_getpgid, 80);
}

static void* Body(void* argument) {
  const int number = (int)(intptr_t)argument;
  Differ(number);
  tids[number] = Tid();
  ThreadReady();
  pthread_barrier_wait(&gone_on);
  ExpectDifference(number);
  return NULL;
}

int main(void) {
  pthread_t threads[kThreads];
  nice_at_first = getpriority(PRIO_PROCESS, 0);
  signal(SIGUSR1, SIG_IGN);
  signal(SIGUSR2, SIG_IGN);
  REQUIRE(pthread_barrier_init(&gone_on, NULL, kThreads + 1) == 0);
  for (intptr_t i = 0; i < kThreads; ++i) threads[i] = StartThread(Body, (void*)i);
  WaitThreadsReady(kThreads);
  for (int i = 0; i < kThreads; ++i) WaitUntilIn(tids[i], SYS_futex);
  Checkpoint();
  pthread_barrier_wait(&gone_on);
  for (int i = 0; i < kThreads; ++i) Join(threads[i]);
  Pass();
}
