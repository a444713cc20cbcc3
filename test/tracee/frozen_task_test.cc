#include "dump/tracee/frozen_task.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <new>
#include <thread>

#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "test/tracee/child.h"

namespace dumpctl {
namespace {

// Takes the signals of a timer, one after the other; never returns.
int TakeTimerSignals(int ready) {
  struct sigaction action = {};
  action.sa_handler = [](int) {};
  action.sa_flags = SA_RESTART;
  sigaction(SIGRTMIN, &action, nullptr);
  sigevent event = {};
  event.sigev_notify = SIGEV_SIGNAL;
  event.sigev_signo = SIGRTMIN;
  constexpr itimerspec kEvery = {{0, 20'000}, {0, 20'000}};
  timer_t timer;
  if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0) return 1;
  if (timer_settime(timer, 0, &kEvery, nullptr) != 0) return 2;
  Ready(ready);
  for (;;) pause();
}

// Kernel trap: an interval timer is wound up again when its signal is dequeued, without the lock
// under which stops are asked for. So the stop that we ask for is dropped by that of the signal.
TEST(FrozenTaskTest, StopsWhoTakesTheSignalsOfTimers) {
  const Child child(TakeTimerSignals);
  const absl::Time end = absl::Now() + absl::Seconds(3);
  do {
    const auto task = FrozenTask::Freeze(child.pid(), absl::Now() + absl::Seconds(2));
    ASSERT_TRUE(task.ok()) << task.status();
  } while (absl::Now() < end);
}

constexpr absl::Duration kVforkSleeps = absl::Seconds(1);

// What a child tells, one of whose threads cannot be stopped for a while.
struct Told {
  std::atomic<int64_t> longest_gap;  // nanoseconds in which another thread of it did not run
  std::atomic<int> epoll_error;      // of a third, which waits for ever
  std::atomic<bool> back;            // the first is back from vfork(2)
};

Told* SharedTold() {
  void* const at =
      mmap(nullptr, sizeof(Told), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  return new (at) Told();
}

void WatchGaps(Told* told) {
  for (absl::Time last = absl::Now();;) {
    usleep(500);
    const absl::Time now = absl::Now();
    told->longest_gap = std::max(told->longest_gap.load(), absl::ToInt64Nanoseconds(now - last));
    last = now;
  }
}

// Kernel trap: unlike poll(2), it is not started again after a stop, but fails with EINTR.
void WaitForEvents(Told* told) {
  epoll_event event;
  const int none = epoll_wait(epoll_create1(0), &event, 1, -1);
  told->epoll_error = none < 0 ? errno : 1;
}

// Nothing stops the caller until the child has ended, but SIGKILL.
void CallVfork(Told* told) {
  static const timespec span = absl::ToTimespec(kVforkSleeps);
  if (vfork() == 0) {
    nanosleep(&span, nullptr);
    _exit(0);
  }
  told->back = true;
}

// Once one thread sleeps uninterruptibly.
int RunBesideVfork(Told* told, int ready) {
  std::thread(WatchGaps, told).detach();
  std::thread(WaitForEvents, told).detach();
  std::thread(CallVfork, told).detach();
  usleep(50'000);
  told->longest_gap = 0;
  Ready(ready);
  for (;;) pause();
}

void ExpectGoesOn(const Told& told) {
  while (!told.back) usleep(500);
  // What an interrupted call returns is seen by then.
  usleep(20'000);
  EXPECT_EQ(told.epoll_error, 0);
}

TEST(FrozenTaskTest, WhoCannotBeFrozenGoesOn) {
  Told* const told = SharedTold();
  const Child child([told](int ready) { return RunBesideVfork(told, ready); });
  // A process of its own: a thread that runs cannot be let go but by the end of its tracer.
  const pid_t tracer = fork();
  if (tracer == 0) {
    const auto task = FrozenTask::Freeze(child.pid(), absl::Now() + kVforkSleeps / 5);
    _exit(absl::IsDeadlineExceeded(task.status()) ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(tracer, &status, 0), tracer);
  EXPECT_EQ(status, 0);
  ExpectGoesOn(*told);
}

TEST(FrozenTaskTest, OthersRunWhileOneCannotBeStopped) {
  Told* const told = SharedTold();
  const Child child([told](int ready) { return RunBesideVfork(told, ready); });
  {
    const auto task = FrozenTask::FreezePatiently(child.pid(), Soon());
    ASSERT_TRUE(task.ok()) << task.status();
    EXPECT_FALSE(told->back) << "it had not been in the way";
    EXPECT_EQ(task->threads().size(), 4);
  }
  ExpectGoesOn(*told);
  EXPECT_LT(absl::Nanoseconds(told->longest_gap.load()), kVforkSleeps * .6);
}

}  // namespace
}  // namespace dumpctl
