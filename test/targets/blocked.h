/* A thread blocked in a system call that the dump must not end, restart too late, or fail. */
#ifndef TEST_TARGETS_BLOCKED_H_
#define TEST_TARGETS_BLOCKED_H_

#include "test/targets/target.h"

/* How long a call with a timeout waits: longer than it takes to dump it. Whoever dumps it twice,
 * and does not wait for its end, asks for more by TARGET_TIMEOUT_MS. */
static int timeout_ms = 3000;

/* How long it has waited before the dump: that much too late would a wait end that began anew. */
enum { kBeforeMs = 1000 };

/* How often the main thread looks in vain for a call that is due. Looks are counted, and not time:
 * where the machine is busy with others they take longer. In all it is less than kBeforeMs. */
enum { kLooks = 100, kBetweenLooksMs = 5 };

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
/* The thread is there until all was looked at, even if its call ends before that. */
static pthread_mutex_t stays = PTHREAD_MUTEX_INITIALIZER;

static void* BlockedBody(void* unused) {
  blocked_tid = Tid();
  blocked_since_ms = NowMs();
  ThreadReady();
  blocked->call();
  __atomic_store_n(&blocked_till_ms, NowMs(), __ATOMIC_SEQ_CST);
  pthread_mutex_lock(&stays);
  return unused;
}

static inline bool HasComeBack(void) {
  return __atomic_load_n(&blocked_till_ms, __ATOMIC_SEQ_CST) != 0;
}

/* Neither sooner than its timeout says nor, as far as this thread can tell, after `latest_ms`. */
static inline void ExpectTimedOut(int64_t latest_ms) {
  for (int looks = 0; !HasComeBack(); SleepMs(kBetweenLooksMs)) {
    if (NowMs() > latest_ms && ++looks > kLooks) {
      Fail("still waits after %lld ms, for %d", (long long)(NowMs() - blocked_since_ms),
           timeout_ms);
    }
  }
  EXPECT(blocked_till_ms - blocked_since_ms >= timeout_ms);
}

/* Blocks a thread, checkpoints, sees it still blocked, lets it go and checks for how long it was.
 *
 * A dump that leaves it running must not move the end of a timeout at all. A restored call may wait
 * again for the whole of it, counted from the restore: images have no place for the rest. So may
 * one that the kernel does not restart after a stop: it is entered again. How long the dump and the
 * restore took is no matter. */
static inline void RunBlocked(const Blocked* what) {
  const char* asked = getenv("TARGET_TIMEOUT_MS");
  if (asked) timeout_ms = atoi(asked);
  blocked = what;
  pthread_mutex_lock(&stays);
  blocked_thread = StartThread(BlockedBody, NULL);
  WaitThreadsReady(1);
  WaitUntilIn(blocked_tid, what->number);
  const int64_t entered_ms = NowMs();
  if (!what->release) SleepMs(kBeforeMs);
  const Event event = Checkpoint();
  const int64_t checked_ms = NowMs();
  if (what->release) {
    /* Restarted calls come back under this number too, or as restart_syscall. */
    SleepMs(20);
    EXPECT(!HasComeBack());
    what->release();
  } else if (event == kRestored || what->number == SYS_rt_sigtimedwait) {
    ExpectTimedOut(checked_ms + timeout_ms);
  } else {
    ExpectTimedOut(entered_ms + timeout_ms);
  }
  pthread_mutex_unlock(&stays);
  Join(blocked_thread);
  Pass();
}

#endif /* TEST_TARGETS_BLOCKED_H_ */
