#include "dump/tracee/frozen_task.h"

#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <functional>
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

// What a child tells, one of whose threads cannot be stopped for a while.
struct Told {
  std::atomic<int64_t> longest_gap;  // nanoseconds in which another thread of it did not run
  std::atomic<pid_t> waiter;         // a third, which waits for ever
  std::atomic<int> epoll_error;      // of that
  std::atomic<bool> in_vfork;        // the first is in vfork(2)
  std::atomic<bool> back;            // and is back from it
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
  told->waiter = gettid();
  epoll_event event;
  const int none = epoll_wait(epoll_create1(0), &event, 1, -1);
  told->epoll_error = none < 0 ? errno : 1;
}

// Nothing stops the caller until the child has ended, but SIGKILL.
void CallVfork(Told* told, const Gate& gate, int patience) {
  if (vfork() == 0) {
    told->in_vfork = true;
    gate.Poll(patience);
    _exit(0);
  }
  told->back = true;
}

// One thread sleeps uninterruptibly until the gate is opened, or for so many milliseconds.
int RunBesideVfork(Told* told, const Gate& gate, int patience, int ready) {
  std::thread(WatchGaps, told).detach();
  std::thread(WaitForEvents, told).detach();
  std::thread(CallVfork, told, std::cref(gate), patience).detach();
  Ready(ready);
  for (;;) pause();
}

void WaitUntilBesideVfork(pid_t pid, const Told& told) {
  WaitUntil(pid, "calls vfork", [&told] { return told.in_vfork && told.waiter != 0; });
  WaitUntilIn(told.waiter, SYS_epoll_wait);
}

void ExpectGoesOn(pid_t pid, const Told& told) {
  WaitUntil(pid, "is back from vfork", [&told] { return told.back.load(); });
  // What an interrupted call returns is seen by then.
  WaitUntil(pid, "waits on",
            [&told] { return told.epoll_error != 0 || IsIn(told.waiter, SYS_epoll_wait); });
  EXPECT_EQ(told.epoll_error, 0);
}

TEST(FrozenTaskTest, WhoCannotBeFrozenGoesOn) {
  Told* const told = SharedTold();
  const Gate gate;
  const Child child([&](int ready) { return RunBesideVfork(told, gate, -1, ready); });
  WaitUntilBesideVfork(child.pid(), *told);
  EXPECT_TRUE(IsGivenUp([&child] {
    return FrozenTask::Freeze(child.pid(), absl::Now() + absl::Milliseconds(1)).status();
  }));
  gate.Open();
  ExpectGoesOn(child.pid(), *told);
}

// While it lives, we and who is forked meanwhile run on one CPU.
class OneCpu {
 public:
  OneCpu() {
    EXPECT_EQ(sched_getaffinity(0, sizeof old_, &old_), 0);
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(static_cast<size_t>(sched_getcpu()), &one);
    EXPECT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
  }
  ~OneCpu() { EXPECT_EQ(sched_setaffinity(0, sizeof old_, &old_), 0); }
  OneCpu(const OneCpu&) = delete;
  OneCpu& operator=(const OneCpu&) = delete;

 private:
  cpu_set_t old_;
};

// Who was asked to stop and has not been given a CPU since.
TEST(FrozenTaskTest, WhoHasNotRunYetWhenTheFreezeIsGivenUpGoesOn) {
  Told* const told = SharedTold();
  const OneCpu with_us;
  const Child child([told](int ready) {
    // It does not displace us when it is woken.
    const sched_param none = {};
    if (sched_setscheduler(0, SCHED_IDLE, &none) != 0) return 1;
    Ready(ready);
    WaitForEvents(told);
    return 0;
  });
  int given_up = 0;
  for (int i = 0; i < 30 && WaitUntilIn(child.pid(), SYS_epoll_wait); ++i) {
    given_up += IsGivenUp(
        [&child] { return FrozenTask::Freeze(child.pid(), absl::InfinitePast()).status(); });
  }
  EXPECT_GT(given_up, 0) << "it stopped at once each time";
  WaitUntilIn(child.pid(), SYS_epoll_wait);
  EXPECT_EQ(told->epoll_error, 0);
}

TEST(FrozenTaskTest, OthersRunWhileOneCannotBeStopped) {
  constexpr absl::Duration kVforkSleeps = absl::Seconds(1);
  Told* const told = SharedTold();
  const Gate gate;
  const Child child([&](int ready) {
    return RunBesideVfork(told, gate, static_cast<int>(absl::ToInt64Milliseconds(kVforkSleeps)),
                          ready);
  });
  WaitUntilBesideVfork(child.pid(), *told);
  told->longest_gap = 0;
  {
    const auto task = FrozenTask::FreezePatiently(child.pid(), Soon());
    ASSERT_TRUE(task.ok()) << task.status();
    EXPECT_FALSE(told->back) << "it had not been in the way";
    EXPECT_EQ(task->threads().size(), 4);
  }
  ExpectGoesOn(child.pid(), *told);
  EXPECT_LT(absl::Nanoseconds(told->longest_gap.load()), kVforkSleeps * .6);
}

}  // namespace
}  // namespace dumpctl
