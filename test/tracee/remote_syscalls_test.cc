#include "dump/tracee/remote_syscalls.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cstring>
#include <thread>

#include "dumpctl/failure.h"
#include "dumpctl/unique_fd.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "test/tracee/child.h"
#include "test/tracee/tracer.h"

namespace dumpctl {
namespace {

TEST(RemoteSyscallsTest, RunsCallsAndLeavesNoTrace) {
  Child child([](int ready) {
    struct sigaction action = {};
    action.sa_handler = SIG_IGN;
    action.sa_flags = SA_RESTART;
    sigaction(SIGUSR2, &action, nullptr);
    Ready(ready);
    pause();
    return 0;
  });
  WaitUntilBlocked(child.pid());
  const std::string before = Maps(child.pid());
  {
    auto task = FrozenTask::Freeze(child.pid(), Soon());
    ASSERT_TRUE(task.ok()) << task.status();
    auto calls = RemoteSyscalls::Create(*task);
    ASSERT_TRUE(calls.ok()) << calls.status();
    const RemoteCall queries[] = {
        {SYS_getpid, {}},
        {SYS_rt_sigaction, {SIGUSR2, 0, calls->SlotAddress(1), 8}},
        {SYS_close, {12345}},
    };
    auto results = calls->Run(task->threads().front(), queries);
    ASSERT_TRUE(results.ok()) << results.status();
    EXPECT_THAT(*results, testing::ElementsAre(child.pid(), 0, -EBADF));
    auto slots = calls->ReadSlots(2);
    ASSERT_TRUE(slots.ok());
    uint64_t handler = 0;
    std::memcpy(&handler, slots->data() + RemoteSyscalls::kSlotSize, sizeof handler);
    EXPECT_EQ(handler, reinterpret_cast<uint64_t>(SIG_IGN));
    EXPECT_NE(Maps(child.pid()), before) << "the scratch memory should stand there now";
    EXPECT_TRUE(calls->Close().ok());
    EXPECT_TRUE(task->Resume().ok());
  }
  EXPECT_EQ(Maps(child.pid()), before);
}

// Blocked in a call that goes on from its restart block: it must end in time and without EINTR.
TEST(RemoteSyscallsTest, AnInterruptedPollGoesOn) {
  Child child([](int ready) {
    timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    Ready(ready);
    if (poll(nullptr, 0, 700) != 0) return 1;
    clock_gettime(CLOCK_MONOTONIC, &end);
    const double seconds = static_cast<double>(end.tv_sec - begin.tv_sec) +
                           static_cast<double>(end.tv_nsec - begin.tv_nsec) / 1e9;
    return seconds >= 0.7 && seconds < 1.1 ? 0 : 2;
  });
  WaitUntilBlocked(child.pid());
  {
    auto task = FrozenTask::Freeze(child.pid(), Soon());
    ASSERT_TRUE(task.ok()) << task.status();
    EXPECT_EQ(SyscallRestartOf(task->threads().front().registers), SyscallRestart::kRestartBlock);
    auto calls = RemoteSyscalls::Create(*task);
    ASSERT_TRUE(calls.ok()) << calls.status();
    const RemoteCall query[] = {{SYS_getpid, {}}};
    ASSERT_TRUE(calls->Run(task->threads().front(), query).ok());
  }
  EXPECT_EQ(child.Join(), 0);
}

// The tracer is a process of its own here, and is killed at one chosen step.
void KillTracerAt(int step) {
  SCOPED_TRACE(step);
  const Gate gate;
  Child child([&gate](int ready) {
    struct sigaction action = {};
    action.sa_handler = [](int) {};
    sigaction(SIGUSR1, &action, nullptr);
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR2);
    sigprocmask(SIG_SETMASK, &mask, nullptr);
    Ready(ready);
    if (gate.Poll() != 1) return 1;
    sigset_t now;
    sigprocmask(SIG_SETMASK, nullptr, &now);
    return std::memcmp(&now, &mask, 8) == 0 ? 0 : 2;
  });
  WaitUntilBlocked(child.pid());
  const std::string before = Maps(child.pid());
  const pid_t tracer = fork();
  if (tracer == 0) {
    auto task = FrozenTask::Freeze(child.pid(), Soon());
    if (!task.ok()) _exit(1);
    if (step == 0) raise(SIGKILL);
    auto calls = RemoteSyscalls::Create(*task);
    if (!calls.ok()) _exit(2);
    if (step == 1) raise(SIGKILL);
    const RemoteCall query[] = {{SYS_rt_sigaction, {SIGUSR1, 0, calls->SlotAddress(0), 8}}};
    if (!calls->Run(task->threads().front(), query).ok()) _exit(3);
    if (step == 2) raise(SIGKILL);
    if (!calls->Close().ok()) _exit(4);
    raise(SIGKILL);
  }
  int status = 0;
  waitpid(tracer, &status, 0);
  ASSERT_TRUE(WIFSIGNALED(status)) << "exit " << WEXITSTATUS(status);
  // Blocked again means that it has found home.
  WaitUntilBlocked(child.pid());
  EXPECT_EQ(Maps(child.pid()), before);
  gate.Open();
  EXPECT_EQ(child.Join(), 0);
}

TEST(RemoteSyscallsTest, TheTargetFindsHomeWhenItsTracerIsKilled) {
  for (int step = 0; step < 4; ++step) KillTracerAt(step);
}

// A tracer that is killed while one thread works through its calls: the first lasts until the gate
// is opened, and behind it is one that writes.
pid_t ForkTracerKilledAtWork(const Child& child, size_t index, const Gate& gate) {
  return ForkTracer(child, [&](FrozenTask& task, RemoteSyscalls& calls) {
    if (task.threads().size() != 2) return 1;
    const FrozenThread& thread = task.threads()[index];
    // (Interrupted or not, it does not touch the restart block.)
    const RemoteCall query[] = {
        {SYS_read, {static_cast<uint64_t>(gate.fd()), calls.SlotAddress(0), 1}},
        {SYS_prctl, {PR_GET_PDEATHSIG, calls.SlotAddress(1)}},
    };
    if (!calls.StartRun(thread, query).ok()) return 3;
    if (WaitUntilIn(thread.tid, SYS_read)) raise(SIGKILL);
    return 4;
  });
}

// Both threads run at once then.
void KillTracerWhileAThreadWorks(size_t index) {
  SCOPED_TRACE(index);
  const Gate gate;
  Child child(SleepInTwoThreads);
  WaitUntilBlocked(child.pid());
  const std::string before = Maps(child.pid());
  const pid_t tracer = ForkTracerKilledAtWork(child, index, gate);
  int status = 0;
  waitpid(tracer, &status, 0);
  ASSERT_TRUE(WIFSIGNALED(status)) << "exit " << WEXITSTATUS(status);
  gate.Open();
  const absl::Time deadline = Soon();
  while (Maps(child.pid()) != before && absl::Now() < deadline) usleep(1000);
  EXPECT_EQ(Maps(child.pid()), before);
  EXPECT_EQ(child.Join(), 0);
}

TEST(RemoteSyscallsTest, AThreadFindsHomeWhenItsTracerIsKilledWhileItWorks) {
  for (size_t index = 0; index < 2; ++index) KillTracerWhileAThreadWorks(index);
}

// The others stand meanwhile, and the kernel does not tell of the leader's end before they have
// been waited for.
TEST(RemoteSyscallsTest, NoticesThatAProcessOfSeveralThreadsIsKilled) {
  Child child(SleepInTwoThreads);
  WaitUntilBlocked(child.pid());
  const pid_t tracer = fork();
  if (tracer == 0) {
    alarm(10);
    auto task = FrozenTask::Freeze(child.pid(), Soon());
    if (!task.ok()) _exit(1);
    auto calls = RemoteSyscalls::Create(*task);
    if (!calls.ok()) _exit(2);
    const RemoteCall pause[] = {{SYS_pause, {}}};
    if (!calls->StartRun(task->threads().front(), pause).ok()) _exit(3);
    kill(child.pid(), SIGKILL);
    _exit(FailureOf(calls->FinishRun().status()) == Failure::kTargetDied ? 0 : 4);
  }
  int status = 0;
  waitpid(tracer, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(child.Join(), SIGKILL);
}

// A program with handlers for all of them: no signal may tell where a thread is.
TEST(RemoteSyscallsTest, RunsCallsWhereEverySignalIsCaught) {
  Child child([](int ready) {
    static std::atomic<int> caught = 0;
    struct sigaction action = {};
    action.sa_handler = [](int) { ++caught; };
    for (const int signal : {SIGURG, SIGWINCH, SIGCHLD}) sigaction(signal, &action, nullptr);
    const int slept = SleepInTwoThreads(ready);
    return slept != 0 || caught != 0;
  });
  WaitUntilBlocked(child.pid());
  const std::string before = Maps(child.pid());
  {
    auto task = FrozenTask::Freeze(child.pid(), Soon());
    ASSERT_TRUE(task.ok()) << task.status();
    auto calls = RemoteSyscalls::Create(*task);
    ASSERT_TRUE(calls.ok()) << calls.status();
    const RemoteCall query[] = {
        {SYS_gettid, {}}, {SYS_sigaltstack, {0, calls->SlotAddress(1)}}, {SYS_close, {12345}}};
    for (const FrozenThread& thread : task->threads()) {
      auto results = calls->Run(thread, query);
      ASSERT_TRUE(results.ok()) << results.status();
      EXPECT_THAT(*results, testing::ElementsAre(thread.tid, 0, -EBADF));
    }
  }
  EXPECT_EQ(Maps(child.pid()), before);
  EXPECT_EQ(child.Join(), 0);
}

// Frozen while it goes home from a dump that was killed, a thread must not be sent away again.
TEST(RemoteSyscallsTest, LeavesAThreadAloneThatIsOnItsWayHome) {
  const Gate gate;
  Child child(SleepInTwoThreads);
  WaitUntilBlocked(child.pid());
  const pid_t tracer = ForkTracerKilledAtWork(child, 1, gate);
  int status = 0;
  waitpid(tracer, &status, 0);
  ASSERT_TRUE(WIFSIGNALED(status)) << "exit " << WEXITSTATUS(status);
  {
    auto task = FrozenTask::Freeze(child.pid(), Soon());
    ASSERT_TRUE(task.ok()) << task.status();
    EXPECT_EQ(RemoteSyscalls::Create(*task).status().code(), absl::StatusCode::kUnavailable);
  }
  gate.Open();
  EXPECT_EQ(child.Join(), 0);
}

TEST(RemoteSyscallsTest, AGuestThreadKeepsItsRegisters) {
  const Gate gate;
  Child child([&gate](int ready) {
    // A thread that computes without a system call: any lost register shows.
    std::atomic<bool> stop = false;
    // A thread that only begins has all signals blocked.
    std::atomic<bool> begun = false;
    uint64_t wrong = 0;
    std::thread worker([&] {
      begun = true;
      while (!stop.load(std::memory_order_relaxed)) {
        uint64_t a = 0x1111, b = 0x2222, c = 0x3333, d = 0x4444;
        for (int i = 0; i < 1000; ++i) {
          a = a * 6364136223846793005u + 1;
          b = b * 6364136223846793005u + a;
          c ^= b;
          d += c;
        }
        static const uint64_t expected = d;
        wrong += expected != d;
      }
    });
    while (!begun) usleep(100);
    Ready(ready);
    const int polled = gate.Poll();
    stop = true;
    worker.join();
    return polled == 1 && wrong == 0 ? 0 : 1;
  });
  // As often as a slow machine lets it.
  const absl::Time end = absl::Now() + absl::Milliseconds(100);
  for (int round = 0; round < 20 && (round == 0 || absl::Now() < end); ++round) {
    auto task = FrozenTask::Freeze(child.pid(), Soon());
    ASSERT_TRUE(task.ok()) << task.status();
    ASSERT_EQ(task->threads().size(), 2u);
    auto calls = RemoteSyscalls::Create(*task);
    ASSERT_TRUE(calls.ok()) << calls.status();
    const RemoteCall query[] = {{SYS_gettid, {}}, {SYS_sigaltstack, {0, calls->SlotAddress(1)}}};
    auto results = calls->Run(task->threads()[1], query);
    ASSERT_TRUE(results.ok()) << results.status();
    EXPECT_THAT(*results, testing::ElementsAre(task->threads()[1].tid, 0));
    results = calls->Run(task->threads()[0], query);
    ASSERT_TRUE(results.ok()) << results.status();
    const auto answers = calls->Interview(task->threads());
    ASSERT_TRUE(answers.ok()) << answers.status();
    EXPECT_TRUE((*answers)[1].has_value());
  }
  gate.Open();
  EXPECT_EQ(child.Join(), 0);
}

// Its own ids are others than those by which we know it. Stands last: this process can start no
// threads and no second init afterwards.
TEST(RemoteSyscallsTest, RunsCallsInAnotherPidNamespace) {
  const UniqueFd own(open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC));
  ASSERT_EQ(unshare(CLONE_NEWPID), 0) << "needs CAP_SYS_ADMIN";
  Child child(SleepInTwoThreads);
  // Or we could have no more children when this one, the init of the new one, has ended.
  ASSERT_EQ(setns(own.get(), CLONE_NEWPID), 0);
  WaitUntilBlocked(child.pid());
  {
    auto task = FrozenTask::Freeze(child.pid(), Soon());
    ASSERT_TRUE(task.ok()) << task.status();
    auto calls = RemoteSyscalls::Create(*task);
    ASSERT_TRUE(calls.ok()) << calls.status();
    const RemoteCall query[] = {{SYS_getpid, {}}, {SYS_gettid, {}}};
    for (size_t i = 0; i < 2; ++i) {
      auto results = calls->Run(task->threads()[i], query);
      ASSERT_TRUE(results.ok()) << results.status();
      EXPECT_THAT(*results, testing::ElementsAre(1, 1 + i));
    }
  }
  EXPECT_EQ(child.Join(), 0);
}

}  // namespace
}  // namespace dumpctl
