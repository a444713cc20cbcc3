#include <fcntl.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <thread>

#include "dump/tracee/remote_syscalls.h"
#include "dumpctl/failure.h"
#include "dumpctl/kernel_abi.h"
#include "dumpctl/unique_fd.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "test/tracee/child.h"
#include "test/tracee/tracer.h"

// What a thread aside does for us: see RemoteSyscalls::OpenAside and AskAside.

namespace dumpctl {
namespace {

size_t CountIn(pid_t pid, const char* directory) {
  size_t count = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/" + directory)) {
    (void)entry;
    ++count;
  }
  return count;
}

// Which what is opened aside is taken by.
bool HasThreadPidfds() {
  return UniqueFd(static_cast<int>(syscall(SYS_pidfd_open, gettid(), abi::kPidfdThread))).valid();
}

TEST(AsideThreadTest, TakesWhatIsOpenedAsideAndLeavesNothing) {
  Child child(SleepInTwoThreads);
  WaitUntilBlocked(child.pid());
  const std::string before = Maps(child.pid());
  const size_t files = CountIn(child.pid(), "fd");
  {
    auto task = FrozenTask::Freeze(child.pid(), Soon());
    ASSERT_TRUE(task.ok()) << task.status();
    auto calls = RemoteSyscalls::Create(*task);
    ASSERT_TRUE(calls.ok()) << calls.status();
    const auto opened = calls->OpenAside(SYS_eventfd2, {17, EFD_CLOEXEC});
    if (FailureOf(opened.status()) == Failure::kHost) GTEST_SKIP() << opened.status();
    ASSERT_TRUE(opened.ok()) << opened.status();
    uint64_t counter = 0;
    EXPECT_EQ(read(opened->get(), &counter, sizeof counter), 8);
    EXPECT_EQ(counter, 17u);
    EXPECT_EQ(CountIn(child.pid(), "fd"), files);
    EXPECT_EQ(CountIn(child.pid(), "task"), 2u);
    // What fails says so, and calls go on.
    EXPECT_EQ(calls->OpenAside(SYS_eventfd2, {0, ~0u}).status().code(),
              absl::StatusCode::kInvalidArgument);
    const RemoteCall query[] = {{SYS_getpid, {}}};
    const auto told = calls->Run(task->threads().front(), query);
    ASSERT_TRUE(told.ok()) << told.status();
    EXPECT_THAT(*told, testing::ElementsAre(child.pid()));
    EXPECT_TRUE(calls->Close().ok());
  }
  EXPECT_EQ(CountIn(child.pid(), "task"), 2u);
  EXPECT_EQ(Maps(child.pid()), before);
  EXPECT_EQ(child.Join(), 0);
}

// To copy a large one would take long.
TEST(AsideThreadTest, WhatIsAskedAsideHasTheDescriptorTableOfAll) {
  Child child(SleepInTwoThreads);
  WaitUntilBlocked(child.pid());
  const size_t files = CountIn(child.pid(), "fd");
  {
    auto task = FrozenTask::Freeze(child.pid(), Soon());
    ASSERT_TRUE(task.ok()) << task.status();
    auto calls = RemoteSyscalls::Create(*task);
    ASSERT_TRUE(calls.ok()) << calls.status();
    const auto opened = calls->AskAside(SYS_eventfd2, {0, EFD_CLOEXEC});
    ASSERT_TRUE(opened.ok()) << opened.status();
    EXPECT_EQ(CountIn(child.pid(), "fd"), files + 1);
    const auto closed = calls->AskAside(SYS_close, {static_cast<uint64_t>(*opened)});
    ASSERT_TRUE(closed.ok()) << closed.status();
    EXPECT_EQ(*closed, 0);
    EXPECT_TRUE(calls->Close().ok());
  }
  EXPECT_EQ(CountIn(child.pid(), "fd"), files);
  EXPECT_EQ(CountIn(child.pid(), "task"), 2u);
  EXPECT_EQ(child.Join(), 0);
}

// No thread can block SIGSTOP, and it is the only one that runs.
TEST(AsideThreadTest, AStopThatAThreadAsideTakesIsThatOfTheProcess) {
  Child child([](int ready) {
    Ready(ready);
    pause();
    return 0;
  });
  WaitUntilBlocked(child.pid());
  {
    auto task = FrozenTask::Freeze(child.pid(), Soon());
    ASSERT_TRUE(task.ok()) << task.status();
    auto calls = RemoteSyscalls::Create(*task);
    ASSERT_TRUE(calls.ok()) << calls.status();
    std::thread stopper([pid = child.pid()] {
      usleep(50'000);
      kill(pid, SIGSTOP);
    });
    const auto polled = calls->AskAside(SYS_poll, {0, 0, 300});
    stopper.join();
    ASSERT_TRUE(polled.ok()) << polled.status();
    EXPECT_EQ(*polled, 0);
    EXPECT_TRUE(calls->Close().ok());
    EXPECT_EQ(CountIn(child.pid(), "task"), 1u);
  }
  // As its parent is told.
  int status = 0;
  const absl::Time deadline = Soon();
  while (waitpid(child.pid(), &status, WUNTRACED | WNOHANG) == 0 && absl::Now() < deadline) {
    usleep(1000);
  }
  EXPECT_TRUE(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP) << status;
  kill(child.pid(), SIGCONT);
  WaitUntilBlocked(child.pid());
}

class KilledBesideAsideThreadTest : public testing::TestWithParam<bool> {};

TEST_P(KilledBesideAsideThreadTest, NothingIsLeft) {
  const bool opens = GetParam();
  if (opens && !HasThreadPidfds()) GTEST_SKIP() << "no Linux 6.9";
  for (int round = 0; round < 24; ++round) {
    SCOPED_TRACE(round);
    Child child([](int ready) {
      Ready(ready);
      pause();
      return 0;
    });
    WaitUntilBlocked(child.pid());
    const std::string before = Maps(child.pid());
    const size_t files = CountIn(child.pid(), "fd");
    const pid_t tracer = ForkTracer(child, [&](FrozenTask&, RemoteSyscalls& calls) {
      const itimerval soon = {{0, 0}, {0, 1000 + 97 * round}};
      setitimer(ITIMER_REAL, &soon, nullptr);
      while (opens ? calls.OpenAside(SYS_eventfd2, {0, 0}).ok()
                   : calls.AskAside(SYS_poll, {0, 0, 1}).ok()) {
      }
      return 3;
    });
    int status = 0;
    waitpid(tracer, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status)) << "exit " << WEXITSTATUS(status);
    const absl::Time deadline = Soon();
    while ((Maps(child.pid()) != before || CountIn(child.pid(), "task") != 1) &&
           absl::Now() < deadline) {
      usleep(200);
    }
    EXPECT_EQ(Maps(child.pid()), before);
    EXPECT_EQ(CountIn(child.pid(), "task"), 1u);
    EXPECT_EQ(CountIn(child.pid(), "fd"), files);
    WaitUntilBlocked(child.pid());
  }
}

INSTANTIATE_TEST_SUITE_P(Calls, KilledBesideAsideThreadTest, testing::Bool(),
                         [](const auto& info) { return info.param ? "Opens" : "Asks"; });

}  // namespace
}  // namespace dumpctl
