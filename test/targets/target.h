/* What every target program shares.
 *
 * A target prepares one kind of state, calls Checkpoint(), and then proves that the state is
 * exactly what it was. The harness (test/restore) starts it as a session leader in a directory of
 * its own, stdin /dev/null, stdout and stderr a status file opened O_APPEND. Checkpoint() prints
 * "ready\n" there and waits for the file `go`, which says what happened in between. The last line
 * is the verdict: PASS (exit 0), "FAIL: ..." (1), "ERROR: ..." for a state that could not be
 * prepared (2), or "SKIP: ..." for one that this machine does not have (77).
 *
 * All of it goes by plain system calls on descriptor 1: no buffers that a dump would carry along.
 */
#ifndef TEST_TARGETS_TARGET_H_
#define TEST_TARGETS_TARGET_H_

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

typedef enum {
  kRestored, /* killed by the dump and brought back by criu restore */
  kResumed,  /* dumped with --leave-running */
} Event;

/* "ready", then waits for `go`. */
Event Checkpoint(void);
/* Its two halves, for targets that do something in between, or wait in another way. */
void Ready(void);
Event WaitForGo(void);

/* Where `go` appears from now on, for targets that change their root. */
void SetGoPath(const char* path);

_Noreturn void Pass(void);
_Noreturn void Skip(const char* reason);
_Noreturn void Fail(const char* format, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void Error(const char* file, int line, const char* what);

/* Preparing: a call that must succeed; the value of REQUIRE_SYSCALL is the call's own. */
#define REQUIRE(condition)                                   \
  do {                                                       \
    if (!(condition)) Error(__FILE__, __LINE__, #condition); \
  } while (0)
#define REQUIRE_SYSCALL(call)                                   \
  ({                                                            \
    long require_result = (long)(call);                         \
    if (require_result == -1) Error(__FILE__, __LINE__, #call); \
    require_result;                                             \
  })

/* Proving. */
#define EXPECT(condition)                                                                 \
  do {                                                                                    \
    errno = 0;                                                                            \
    if (!(condition)) Fail("%s:%d: %s, errno %d", __FILE__, __LINE__, #condition, errno); \
  } while (0)
#define EXPECT_EQ(expected, actual) \
  ExpectEqual(__FILE__, __LINE__, #actual, (long long)(expected), (long long)(actual))
#define EXPECT_STREQ(expected, actual) ExpectText(__FILE__, __LINE__, #actual, expected, actual)
void ExpectEqual(const char* file, int line, const char* what, long long expected,
                 long long actual);
void ExpectText(const char* file, int line, const char* what, const char* expected,
                const char* actual);

/* Memory whose every byte is known: a different sequence for each seed, with no zero page. */
void Fill(void* memory, size_t size, uint64_t seed);
void ExpectFilled(const char* what, const void* memory, size_t size, uint64_t seed);
/* A private anonymous mapping, read-write. */
void* Map(size_t size);

/* Threads. */
pid_t Tid(void);
pthread_t StartThread(void* (*body)(void*), void* argument);
/* Until thread `tid` sleeps in system call `number` (by /proc/self/task/TID/syscall). */
void WaitUntilIn(pid_t tid, long number);
/* The letter that stands in procfs for the state of a process or thread. */
char StateOfTask(pid_t tid);
/* A thread says that its state stands, and main waits until `count` of them have said so. */
void ThreadReady(void);
void WaitThreadsReady(int count);
void Join(pthread_t thread);
void SleepMs(int ms);
/* CLOCK_MONOTONIC, which a dump and restore on one machine let go on. */
int64_t NowMs(void);

/* /proc/self text. The result lives until the second next call. */
const char* ReadText(const char* path);
/* The value of "Name:\tvalue" in /proc/thread-self/status. */
const char* StatusField(const char* name);
/* The value of field `name` of the smaps entry that holds `address`; "" without such an entry.
 * The name "maps" gives the entry's first line. */
const char* SmapsField(const void* address, const char* name);
/* Whether the VmFlags of the mapping that holds `address` have the two letters `flag`. */
bool HasVmFlag(const void* address, const char* flag);

#endif /* TEST_TARGETS_TARGET_H_ */
