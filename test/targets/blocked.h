/* A thread blocked in a system call that the dump must not end, restart too late, or fail. */
#ifndef TEST_TARGETS_BLOCKED_H_
#define TEST_TARGETS_BLOCKED_H_

#include "test/targets/target.h"

/* How long a call with a timeout waits: longer than any dump and restore. */
enum { kTimeoutMs = 3000 };

typedef struct {
  /* Makes the call, and checks what it returned; run by the blocked thread. */
  void (*call)(void);
  /* The number of the system call. */
  long number;
  /* Lets the call end, after `go`; NULL for a call that its timeout ends. */
  void (*release)(void);
} Blocked;

static const Blocked* blocked;
static pid_t blocked_tid;
static pthread_t blocked_thread;
static int64_t blocked_since_ms, blocked_till_ms;

static void* BlockedBody(void* unused) {
  blocked_tid = Tid();
  blocked_since_ms = NowMs();
  ThreadReady();
  blocked->call();
  blocked_till_ms = NowMs();
  return unused;
}

/* Blocks a thread, checkpoints, sees it still blocked, lets it go and checks for how long it was.
 *
 * A dump that leaves it running must not move the end of a timeout at all. A restored call may wait
 * again for the whole of it, counted from the restore: images have no place for the rest. */
static inline void RunBlocked(const Blocked* what) {
  blocked = what;
  blocked_thread = StartThread(BlockedBody, NULL);
  WaitThreadsReady(1);
  WaitUntilIn(blocked_tid, what->number);
  Event event = Checkpoint();
  if (what->release) {
    /* Restarted calls come back under this number too, or as restart_syscall. */
    SleepMs(20);
    EXPECT_EQ(0, blocked_till_ms);
    what->release();
  }
  Join(blocked_thread);
  if (!what->release) {
    int64_t waited = blocked_till_ms - blocked_since_ms;
    EXPECT(waited >= kTimeoutMs);
    int64_t latest = event == kResumed ? kTimeoutMs + 1000 : 3 * kTimeoutMs;
    if (waited > latest) Fail("waited %lld ms for %d", (long long)waited, kTimeoutMs);
  }
  Pass();
}

#endif /* TEST_TARGETS_BLOCKED_H_ */
