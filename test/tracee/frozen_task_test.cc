#include "dump/tracee/frozen_task.h"

#include <signal.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

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

}  // namespace
}  // namespace dumpctl
