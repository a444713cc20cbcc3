/* POSIX timers on several clocks and of every way to notify: ids, values, intervals, disarmed. */
#include "test/targets/target.h"

typedef struct {
  clockid_t clock;
  int notify, signal, value, interval;
} Timer;

static const Timer kTimers[] = {{CLOCK_MONOTONIC, SIGEV_SIGNAL, 63, 1000, 11},
                                {CLOCK_REALTIME, SIGEV_SIGNAL, SIGUSR1, 2000, 0},
                                {CLOCK_MONOTONIC, SIGEV_NONE, 0, 3000, 13},
                                {CLOCK_BOOTTIME, SIGEV_THREAD_ID, SIGUSR2, 4000, 14},
                                {CLOCK_MONOTONIC, SIGEV_SIGNAL, 62, 0, 0}};
enum { kCount = sizeof(kTimers) / sizeof(kTimers[0]), kGap = 2 };

/* struct sigevent, whose thread id libc of this age does not name. */
static int Create(const Timer* timer, int number) {
  struct sigevent event = {.sigev_notify = timer->notify, .sigev_signo = timer->signal};
  event.sigev_value.sival_ptr = (void*)(0x123456789000 + number);
  event._sigev_un._tid = Tid();
  int id = -1;
  REQUIRE(syscall(SYS_timer_create, timer->clock, &event, &id) == 0);
  return id;
}

/* The kernel's list, without the "signal:" lines' order: "ID: 0\nsignal: 10/0000...\nnotify: ..."
 */
static void ListTimers(char* text, size_t size) {
  snprintf(text, size, "%s", ReadText("/proc/self/timers"));
}

int main(void) {
  int ids[kCount];
  /* Ids with a gap in front of the last. */
  for (int i = 0; i < kCount; ++i) {
    if (i == kCount - 1) {
      for (int gap = 0; gap < kGap; ++gap) {
        REQUIRE(syscall(SYS_timer_delete, Create(&kTimers[0], 0)) == 0);
      }
    }
    ids[i] = Create(&kTimers[i], i);
    struct itimerspec spec = {.it_value = {kTimers[i].value, 5},
                              .it_interval = {kTimers[i].interval, 6}};
    if (kTimers[i].value == 0) spec.it_value.tv_nsec = 0;
    REQUIRE(syscall(SYS_timer_settime, ids[i], 0, &spec, NULL) == 0);
  }
  char before[4096], after[4096];
  ListTimers(before, sizeof(before));
  Checkpoint();
  ListTimers(after, sizeof(after));
  EXPECT_STREQ(before, after);
  for (int i = 0; i < kCount; ++i) {
    struct itimerspec spec = {0};
    EXPECT(syscall(SYS_timer_gettime, ids[i], &spec) == 0);
    EXPECT_EQ(kTimers[i].value ? kTimers[i].interval : 0, spec.it_interval.tv_sec);
    EXPECT_EQ(kTimers[i].value ? 6 : 0, spec.it_interval.tv_nsec);
    EXPECT(spec.it_value.tv_sec <= kTimers[i].value &&
           spec.it_value.tv_sec >= kTimers[i].value - 60);
    EXPECT_EQ(0, syscall(SYS_timer_getoverrun, ids[i]));
  }
  Pass();
}
