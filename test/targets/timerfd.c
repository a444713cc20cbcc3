/* Timers of every clock that can be restored: disarmed, armed relative and absolute, periodic, and
 * such as have expired and were not read. */
#include <poll.h>
#include <sys/timerfd.h>

#include "test/targets/target.h"

static const clockid_t kClocks[] = {CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_BOOTTIME};
enum { kCount = 3, kPeriodMs = 20, kSlackMs = 15000 };

static int64_t Ms(struct timespec time) { return time.tv_sec * 1000 + time.tv_nsec / 1000000; }
static struct timespec FromMs(int64_t ms) {
  return (struct timespec){ms / 1000, ms % 1000 * 1000000};
}

static int64_t Now(clockid_t clock) {
  struct timespec now;
  REQUIRE(clock_gettime(clock, &now) == 0);
  return Ms(now);
}

static int Timer(clockid_t clock, int flags, int64_t value, int64_t interval) {
  int fd = REQUIRE_SYSCALL(timerfd_create(clock, TFD_NONBLOCK));
  struct itimerspec spec = {FromMs(interval), FromMs(value)};
  REQUIRE_SYSCALL(timerfd_settime(fd, flags, &spec, NULL));
  return fd;
}

/* Armed to expire `left` ms from `since` on. */
static void ExpectArmed(int fd, int64_t left, int64_t interval) {
  struct itimerspec spec;
  EXPECT_EQ(0, timerfd_gettime(fd, &spec));
  EXPECT_EQ(interval, Ms(spec.it_interval));
  if (Ms(spec.it_value) > left || Ms(spec.it_value) < left - kSlackMs) {
    EXPECT_EQ(left, Ms(spec.it_value));
  }
}

static uint64_t Ticks(int fd) {
  uint64_t ticks = 0;
  ssize_t got = read(fd, &ticks, sizeof(ticks));
  if (got < 0) EXPECT_EQ(EAGAIN, errno);
  return ticks;
}

int main(void) {
  int relative[kCount], absolute[kCount], cancelled, disarmed, once, periodic;
  int64_t deadline[kCount];
  for (int i = 0; i < kCount; ++i) {
    relative[i] = Timer(kClocks[i], 0, 1000000, 250);
    deadline[i] = Now(kClocks[i]) + 2000000;
    absolute[i] = Timer(kClocks[i], TFD_TIMER_ABSTIME, deadline[i], 0);
  }
  int64_t cancelled_at = Now(CLOCK_REALTIME) + 3000000;
  cancelled = Timer(CLOCK_REALTIME, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, cancelled_at, 0);
  disarmed = Timer(CLOCK_MONOTONIC, 0, 0, 0);
  once = Timer(CLOCK_MONOTONIC, 0, 1, 0);
  int64_t begun = NowMs();
  periodic = Timer(CLOCK_MONOTONIC, 0, kPeriodMs, kPeriodMs);
  SleepMs(5 * kPeriodMs);
  Checkpoint();
  for (int i = 0; i < kCount; ++i) {
    ExpectArmed(relative[i], 1000000, 250);
    EXPECT_EQ(0, Ticks(relative[i]));
    ExpectArmed(absolute[i], deadline[i] - Now(kClocks[i]) + 2000, 0);
  }
  ExpectArmed(cancelled, cancelled_at - Now(CLOCK_REALTIME) + 2000, 0);
  struct itimerspec spec;
  EXPECT_EQ(0, timerfd_gettime(disarmed, &spec));
  EXPECT(Ms(spec.it_value) == 0 && Ms(spec.it_interval) == 0);
  EXPECT_EQ(0, Ticks(disarmed));
  EXPECT_EQ(1, Ticks(once));
  EXPECT_EQ(0, Ticks(once));
  /* Each period since is counted, but for those when there was no process; and it goes on. */
  int64_t ticks = (int64_t)Ticks(periodic);
  int64_t most = (NowMs() - begun) / kPeriodMs;
  EXPECT(ticks >= 5 && ticks <= most);
  struct pollfd poll_fd = {.fd = periodic, .events = POLLIN};
  EXPECT_EQ(1, poll(&poll_fd, 1, 1000));
  EXPECT(Ticks(periodic) >= 1);
  Pass();
}
