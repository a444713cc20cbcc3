#include "dump/session/guardian.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include <atomic>

#include "dump/session/shared_memory.h"
#include "proc/proc_fs.h"
#include "proc/status_parser.h"

namespace dumpctl {
namespace {

struct GuardianShared {
  std::atomic<int> deeds;
  std::atomic<int> signals;
  std::atomic<bool> ready;
};

pid_t TracerOfProcess(pid_t pid) {
  const auto directory = ProcDir::OpenTask(pid);
  const auto status = ParseStatus(directory.ok() ? directory->Read("status").value_or("") : "");
  return status.ok() ? status->tracer_pid : -1;
}

class GuardianTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(memory_.Make().ok());
    shared_ = memory_.get();
  }

  // A process that is guarded, and watched, and then does as told.
  template <typename Body>
  pid_t Guarded(Body body) {
    const pid_t pid = fork();
    if (pid != 0) return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    Guardian guardian;
    if (!guardian.Start(DoLate, shared_).ok()) _exit(1);
    guardian.WatchClosely();
    _exit(body(guardian));
  }

  void WaitReady() const {
    for (int ms = 0; !shared_->ready && ms < 10'000; ++ms) usleep(1000);
    ASSERT_TRUE(shared_->ready);
  }

  // Far later than a process needs to end that nothing keeps.
  static void DoLate(void* shared) {
    usleep(100'000);
    ++static_cast<GuardianShared*>(shared)->deeds;
  }

  SharedMemory<GuardianShared> memory_;
  GuardianShared* shared_ = nullptr;
};

TEST_F(GuardianTest, WhoIsWatchedEndsAfterTheDeed) {
  const pid_t pid = Guarded([](Guardian&) { return kill(getpid(), SIGKILL); });
  int status = 0;
  ASSERT_EQ(waitpid(pid, &status, 0), pid);
  EXPECT_EQ(shared_->deeds, 1);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << status;
}

TEST_F(GuardianTest, AndWhoExits) {
  const pid_t pid = Guarded([](Guardian&) {
    _exit(7);
    return 0;
  });
  int status = 0;
  ASSERT_EQ(waitpid(pid, &status, 0), pid);
  EXPECT_EQ(shared_->deeds, 1);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 7) << status;
}

TEST_F(GuardianTest, WhomSomebodyElseTracesIsGuardedAfterItsEnd) {
  const pid_t pid = fork();
  if (pid == 0) {
    ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
    Guardian guardian;
    if (!guardian.Start(DoLate, shared_).ok()) _exit(1);
    guardian.WatchClosely();
    kill(getpid(), SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(waitpid(pid, &status, 0), pid);
  ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << status;
  for (int ms = 0; shared_->deeds == 0 && ms < 10'000; ++ms) usleep(1000);
  EXPECT_EQ(shared_->deeds, 1);
}

GuardianShared* shared_of_handler = nullptr;

TEST_F(GuardianTest, SignalsArriveWhileItWatches) {
  const pid_t pid = Guarded([this](Guardian&) {
    shared_of_handler = shared_;
    signal(SIGUSR1, [](int) { ++shared_of_handler->signals; });
    for (int i = 0; i < 100; ++i) raise(SIGUSR1);
    if (shared_->signals != 100) return 2;
    shared_->ready = true;
    while (shared_->signals != 101) usleep(100);
    return 3;
  });
  WaitReady();
  EXPECT_GT(TracerOfProcess(pid), 0);
  ASSERT_EQ(kill(pid, SIGSTOP), 0);
  int status = 0;
  ASSERT_EQ(waitpid(pid, &status, WUNTRACED), pid);
  EXPECT_TRUE(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP) << status;
  ASSERT_EQ(kill(pid, SIGUSR1), 0);
  usleep(20'000);
  EXPECT_EQ(shared_->signals, 100) << "it ran while it was stopped";
  ASSERT_EQ(kill(pid, SIGCONT), 0);
  ASSERT_EQ(waitpid(pid, &status, 0), pid);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 3) << status;
  EXPECT_EQ(shared_->deeds, 1);
}

TEST_F(GuardianTest, NorIsOneLostWhenItIsDismissed) {
  constexpr int kSignals = 1000;
  const pid_t pid = fork();
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    shared_of_handler = shared_;
    signal(SIGUSR1, [](int) { ++shared_of_handler->signals; });
    shared_->ready = true;
    while (shared_->signals < kSignals) {
      Guardian guardian;
      if (!guardian.Start(DoLate, shared_).ok()) _exit(1);
      guardian.WatchClosely();
    }
    _exit(0);
  }
  WaitReady();
  for (int i = 0; i < kSignals; ++i) {
    ASSERT_EQ(kill(pid, SIGUSR1), 0);
    for (int us = 0; shared_->signals <= i && us < 5'000'000; us += 20) usleep(20);
    if (shared_->signals <= i) kill(pid, SIGKILL);
    ASSERT_GT(shared_->signals, i) << "it was lost";
  }
  int status = 0;
  ASSERT_EQ(waitpid(pid, &status, 0), pid);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

TEST_F(GuardianTest, ItsWorkIsLeftToItByWhoKillsTheGroup) {
  const pid_t pid = fork();
  if (pid == 0) {
    setpgid(0, 0);
    Guardian guardian;
    if (!guardian.Start(DoLate, shared_).ok()) _exit(1);
    guardian.WatchClosely();
    kill(0, SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(waitpid(pid, &status, 0), pid);
  EXPECT_EQ(shared_->deeds, 1);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << status;
}

TEST_F(GuardianTest, ThereIsOneAtATime) {
  Guardian guardian;
  ASSERT_TRUE(guardian.Start(DoLate, shared_).ok());
  EXPECT_EQ(guardian.Start(DoLate, shared_).code(), absl::StatusCode::kFailedPrecondition);
  guardian.Dismiss();
  EXPECT_TRUE(guardian.Start(DoLate, shared_).ok());
}

TEST_F(GuardianTest, WhenItIsDismissedNobodyWatches) {
  const pid_t pid = Guarded([this](Guardian& guardian) {
    if (TracerOfProcess(getpid()) <= 0) return 2;
    guardian.Dismiss();
    return TracerOfProcess(getpid()) == 0 ? 0 : 3;
  });
  int status = 0;
  ASSERT_EQ(waitpid(pid, &status, 0), pid);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  EXPECT_EQ(shared_->deeds, 0);
}

}  // namespace
}  // namespace dumpctl
