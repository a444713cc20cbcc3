#include "dump/tracee/interrupted_calls.h"

#include <poll.h>
#include <sys/syscall.h>

#include <cstring>

#include "gtest/gtest.h"
#include "test/tracee/child.h"

namespace dumpctl {
namespace {

// The registers of its only thread, noted if there is where to.
GeneralRegisters StopOnce(pid_t pid, InterruptedCalls* calls) {
  auto task = FrozenTask::Freeze(pid, Soon());
  EXPECT_TRUE(task.ok()) << task.status();
  const GeneralRegisters registers = task->threads().front().registers;
  if (calls != nullptr) calls->Note(*task);
  EXPECT_TRUE(task->Resume().ok());
  WaitUntilBlocked(pid);
  return registers;
}

int PollForEver(int ready) {
  Ready(ready);
  return poll(nullptr, 0, -1);
}

TEST(InterruptedCallsTest, TellWhatACallWasBeforeTheFirstStop) {
  const Child child(PollForEver);
  WaitUntilBlocked(child.pid());
  InterruptedCalls calls;
  ASSERT_EQ(StopOnce(child.pid(), &calls).orig_rax, SYS_poll);
  // However often it stops.
  for (int i = 0; i < 2; ++i) {
    const GeneralRegisters again = StopOnce(child.pid(), &calls);
    ASSERT_EQ(again.orig_rax, SYS_restart_syscall);
    GeneralRegisters entered = calls.AsEntered(child.pid(), again);
    EXPECT_EQ(entered.orig_rax, SYS_poll);
    entered.orig_rax = again.orig_rax;
    EXPECT_EQ(memcmp(&entered, &again, sizeof again), 0) << "nothing else is changed";
    EXPECT_EQ(calls.AsEntered(1, again).orig_rax, SYS_restart_syscall) << "another thread's";
  }
}

TEST(InterruptedCallsTest, OfAnotherCallNothingIsSaid) {
  const Gate gate;
  const Child child([&gate](int ready) {
    pollfd opened = {gate.fd(), POLLIN, 0};
    Ready(ready);
    poll(&opened, 1, -1);
    opened.fd = -1;  // nothing of the call is another but how long it waits
    return poll(&opened, 1, 100'000);
  });
  WaitUntilBlocked(child.pid());
  InterruptedCalls calls;
  ASSERT_EQ(StopOnce(child.pid(), &calls).orig_rax, SYS_poll);
  // In the second one, which was stopped before by somebody else. The first one, once it has been
  // stopped, is told as restart_syscall.
  gate.Open();
  WaitUntilIn(child.pid(), SYS_poll);
  ASSERT_EQ(StopOnce(child.pid(), nullptr).orig_rax, SYS_poll);
  const GeneralRegisters again = StopOnce(child.pid(), nullptr);
  ASSERT_EQ(again.orig_rax, SYS_restart_syscall);
  EXPECT_EQ(calls.AsEntered(child.pid(), again).orig_rax, SYS_restart_syscall);
}

TEST(InterruptedCallsTest, OneThatWasNotStoppedIsAsItIs) {
  const Child child(PollForEver);
  WaitUntilBlocked(child.pid());
  const InterruptedCalls calls;
  const GeneralRegisters registers = StopOnce(child.pid(), nullptr);
  EXPECT_EQ(calls.AsEntered(child.pid(), registers).orig_rax, SYS_poll);
}

}  // namespace
}  // namespace dumpctl
