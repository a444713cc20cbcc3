#include "dump/tracee/remote_syscalls.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <fstream>
#include <functional>
#include <latch>
#include <span>
#include <sstream>
#include <thread>
#include <vector>

#include "dump/tracee/ptrace_ops.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dumpctl {
namespace {

// A child that runs `body` and exits with its result; killed if it outlives the test.
class Child {
 public:
  explicit Child(const std::function<int(int ready)>& body) {
    int pipe_fds[2];
    EXPECT_EQ(pipe(pipe_fds), 0);
    pid_ = fork();
    if (pid_ == 0) {
      close(pipe_fds[0]);
      _exit(body(pipe_fds[1]));
    }
    close(pipe_fds[1]);
    char byte;
    EXPECT_EQ(read(pipe_fds[0], &byte, 1), 1) << "the child did not get ready";
    close(pipe_fds[0]);
  }
  ~Child() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
  }
  pid_t pid() const { return pid_; }
  int Join() {
    int status = -1;
    EXPECT_EQ(waitpid(pid_, &status, 0), pid_);
    pid_ = 0;
    return status;
  }

 private:
  pid_t pid_ = 0;
};

std::string Maps(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/maps");
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// Waits until the child sleeps in a system call.
void WaitUntilBlocked(pid_t pid) {
  for (;;) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
    std::string text;
    std::getline(file, text);
    if (text[text.rfind(')') + 2] == 'S') return;
    usleep(100);
  }
}

absl::Time Soon() { return absl::Now() + absl::Seconds(10); }

void Ready(int fd) { EXPECT_EQ(write(fd, "r", 1), 1); }

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
  Child child([](int ready) {
    struct sigaction action = {};
    action.sa_handler = [](int) {};
    sigaction(SIGUSR1, &action, nullptr);
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR2);
    sigprocmask(SIG_SETMASK, &mask, nullptr);
    Ready(ready);
    if (poll(nullptr, 0, 300) != 0) return 1;
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
  EXPECT_EQ(child.Join(), 0);
}

TEST(RemoteSyscallsTest, TheTargetFindsHomeWhenItsTracerIsKilled) {
  for (int step = 0; step < 4; ++step) KillTracerAt(step);
}

// A child with two threads, both of which sleep; 0 if neither sleep was interrupted.
int SleepInTwoThreads(int ready) {
  const auto sleep = [](int* result) {
    const timespec span = {0, 400'000'000};
    *result = nanosleep(&span, nullptr);
  };
  int results[2] = {1, 1};
  std::thread worker(sleep, &results[1]);
  Ready(ready);
  sleep(&results[0]);
  worker.join();
  return results[0] != 0 || results[1] != 0;
}

// Kills the tracer while one thread works through its calls; both threads run at once then.
void KillTracerWhileAThreadWorks(size_t index) {
  SCOPED_TRACE(index);
  Child child(SleepInTwoThreads);
  WaitUntilBlocked(child.pid());
  const std::string before = Maps(child.pid());
  const pid_t tracer = fork();
  if (tracer == 0) {
    auto task = FrozenTask::Freeze(child.pid(), Soon());
    if (!task.ok() || task->threads().size() != 2) _exit(1);
    auto calls = RemoteSyscalls::Create(*task);
    if (!calls.ok()) _exit(2);
    // One that takes its time, and behind it one that writes. (A poll that is not interrupted does
    // not touch the restart block.)
    const RemoteCall query[] = {
        {SYS_poll, {0, 0, 100}},
        {SYS_prctl, {PR_GET_PDEATHSIG, calls->SlotAddress(1)}},
    };
    const itimerval soon = {{0, 0}, {0, 30'000}};
    setitimer(ITIMER_REAL, &soon, nullptr);
    calls->Run(task->threads()[index], query).IgnoreError();
    _exit(3);
  }
  int status = 0;
  waitpid(tracer, &status, 0);
  ASSERT_TRUE(WIFSIGNALED(status)) << "exit " << WEXITSTATUS(status);
  const absl::Time deadline = Soon();
  while (Maps(child.pid()) != before && absl::Now() < deadline) usleep(1000);
  EXPECT_EQ(Maps(child.pid()), before);
  EXPECT_EQ(child.Join(), 0);
}

TEST(RemoteSyscallsTest, AThreadFindsHomeWhenItsTracerIsKilledWhileItWorks) {
  for (size_t index = 0; index < 2; ++index) KillTracerWhileAThreadWorks(index);
}

// What a thread of InterviewedThreads makes of itself; in shared memory.
struct Self {
  std::atomic<pid_t> tid;
  uint64_t altstack;
  uint64_t tid_address;
};

// A child of so many threads beside the first, all of which sleep; each has another alternate stack
// (the size tells its number), another pdeath signal, and other securebits. The last one blocks all
// that could tell. 0 if no sleep was interrupted and no mask changed.
int InterviewedThreads(int ready, std::span<Self> selves, std::chrono::milliseconds sleep) {
  std::latch prepared(static_cast<ptrdiff_t>(selves.size()) + 1);
  std::atomic<int> wrong = 0;
  const auto body = [&](size_t number) {
    std::vector<char> memory(MINSIGSTKSZ + number * 1024);
    const stack_t stack = {.ss_sp = memory.data(), .ss_flags = 0, .ss_size = memory.size()};
    sigset_t mask, now;
    sigemptyset(&mask);
    sigaddset(&mask, SIGRTMIN + static_cast<int>(number % 8));
    if (number + 1 == selves.size()) sigfillset(&mask);
    for (const int never : {SIGKILL, SIGSTOP}) sigdelset(&mask, never);
    // The C library's own two cannot be blocked by it.
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, nullptr, 8);
    wrong += sigaltstack(&stack, nullptr) != 0;
    wrong += prctl(PR_SET_PDEATHSIG, 1 + number % 30) != 0;
    wrong += prctl(PR_SET_SECUREBITS, number % 2 == 0 ? 0 : 1 << 4) != 0;
    selves[number].altstack = reinterpret_cast<uint64_t>(memory.data());
    prctl(PR_GET_TID_ADDRESS, &selves[number].tid_address);
    selves[number].tid = gettid();
    prepared.arrive_and_wait();
    const timespec span = {0, std::chrono::nanoseconds(sleep).count()};
    wrong += nanosleep(&span, nullptr) != 0;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, nullptr, &now, 8);
    wrong += std::memcmp(&now, &mask, 8) != 0;
  };
  std::vector<std::thread> threads;
  for (size_t i = 0; i < selves.size(); ++i) threads.emplace_back(body, i);
  prepared.arrive_and_wait();
  usleep(50'000);
  Ready(ready);
  for (std::thread& thread : threads) thread.join();
  return wrong;
}

std::span<Self> SharedSelves(size_t count) {
  void* const memory = mmap(nullptr, count * sizeof(Self), PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  return {static_cast<Self*>(memory), count};
}

TEST(RemoteSyscallsTest, InterviewsManyThreads) {
  // More than there are places for, and than there are answers in the scratch memory.
  const std::span<Self> selves = SharedSelves(500);
  Child child(
      [&](int ready) { return InterviewedThreads(ready, selves, std::chrono::milliseconds(600)); });
  const std::string before = Maps(child.pid());
  {
    auto task = FrozenTask::Freeze(child.pid(), Soon());
    ASSERT_TRUE(task.ok()) << task.status();
    auto calls = RemoteSyscalls::Create(*task);
    ASSERT_TRUE(calls.ok()) << calls.status();
    const auto answers = calls->Interview(task->threads());
    ASSERT_TRUE(answers.ok()) << answers.status();
    ASSERT_EQ(answers->size(), selves.size() + 1);
    EXPECT_FALSE(answers->front().has_value()) << "it holds the memory that the others answer to";
    size_t silent = 0;
    for (size_t i = 1; i < answers->size(); ++i) {
      const auto self = std::find_if(selves.begin(), selves.end(), [&](const Self& s) {
        return s.tid == task->threads()[i].tid;
      });
      ASSERT_NE(self, selves.end());
      const auto number = static_cast<uint64_t>(self - selves.begin());
      if (number + 1 == selves.size()) {
        EXPECT_FALSE((*answers)[i].has_value()) << "it blocks every signal";
        ++silent;
        continue;
      }
      ASSERT_TRUE((*answers)[i].has_value()) << number;
      EXPECT_EQ(*(*answers)[i],
                (ThreadAnswers{.altstack_base = self->altstack,
                               .altstack_size = MINSIGSTKSZ + number * 1024,
                               .clear_child_tid = self->tid_address,
                               .pdeath_signal = static_cast<uint32_t>(1 + number % 30),
                               .securebits = number % 2 == 0 ? 0u : 1u << 4}))
          << number;
    }
    EXPECT_EQ(silent, 1u);
    // Afterwards calls can be run in any of them, in the silent one too.
    for (const FrozenThread& thread : task->threads()) {
      if (thread.tid != selves.front().tid && thread.tid != selves.back().tid) continue;
      const RemoteCall query[] = {{SYS_gettid, {}}};
      const auto results = calls->Run(thread, query);
      ASSERT_TRUE(results.ok()) << results.status();
      EXPECT_THAT(*results, testing::ElementsAre(thread.tid));
    }
    EXPECT_TRUE(calls->Close().ok());
  }
  EXPECT_EQ(Maps(child.pid()), before);
  EXPECT_EQ(child.Join(), 0);
}

// The tracer does nothing but interviews, and is killed at some instant.
void KillTracerThatInterviews(std::chrono::microseconds after) {
  SCOPED_TRACE(after.count());
  const std::span<Self> selves = SharedSelves(20);
  Child child(
      [&](int ready) { return InterviewedThreads(ready, selves, std::chrono::milliseconds(200)); });
  const std::string before = Maps(child.pid());
  int began[2];
  ASSERT_EQ(pipe(began), 0);
  const pid_t tracer = fork();
  if (tracer == 0) {
    auto task = FrozenTask::Freeze(child.pid(), Soon());
    if (!task.ok()) _exit(1);
    auto calls = RemoteSyscalls::Create(*task);
    if (!calls.ok()) _exit(2);
    Ready(began[1]);
    while (calls->Interview(task->threads()).ok()) {
    }
    _exit(3);
  }
  char byte;
  EXPECT_EQ(read(began[0], &byte, 1), 1);
  std::this_thread::sleep_for(after);
  kill(tracer, SIGKILL);
  int status = 0;
  waitpid(tracer, &status, 0);
  ASSERT_TRUE(WIFSIGNALED(status)) << "exit " << WEXITSTATUS(status);
  const absl::Time deadline = Soon();
  while (Maps(child.pid()) != before && absl::Now() < deadline) usleep(1000);
  EXPECT_EQ(Maps(child.pid()), before);
  EXPECT_EQ(child.Join(), 0);
  close(began[0]);
  close(began[1]);
}

TEST(RemoteSyscallsTest, ManyThreadsFindHomeWhenTheirTracerIsKilledInAnInterview) {
  for (int i = 0; i < 20; ++i) KillTracerThatInterviews(std::chrono::microseconds(37 * i));
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
  Child child(SleepInTwoThreads);
  WaitUntilBlocked(child.pid());
  const pid_t tracer = fork();
  if (tracer == 0) {
    auto task = FrozenTask::Freeze(child.pid(), Soon());
    if (!task.ok()) _exit(1);
    auto calls = RemoteSyscalls::Create(*task);
    if (!calls.ok()) _exit(2);
    const RemoteCall query[] = {{SYS_poll, {0, 0, 100}}};
    const itimerval soon = {{0, 0}, {0, 30'000}};
    setitimer(ITIMER_REAL, &soon, nullptr);
    calls->Run(task->threads()[1], query).IgnoreError();
    _exit(3);
  }
  int status = 0;
  waitpid(tracer, &status, 0);
  ASSERT_TRUE(WIFSIGNALED(status)) << "exit " << WEXITSTATUS(status);
  {
    auto task = FrozenTask::Freeze(child.pid(), Soon());
    ASSERT_TRUE(task.ok()) << task.status();
    EXPECT_EQ(RemoteSyscalls::Create(*task).status().code(), absl::StatusCode::kUnavailable);
  }
  EXPECT_EQ(child.Join(), 0);
}

TEST(RemoteSyscallsTest, AGuestThreadKeepsItsRegisters) {
  Child child([](int ready) {
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
    usleep(200000);
    stop = true;
    worker.join();
    return wrong == 0 ? 0 : 1;
  });
  for (int round = 0; round < 20; ++round) {
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
  EXPECT_EQ(child.Join(), 0);
}

// Its own ids are others than those by which we know it. Stands last: this process can start no
// threads and no second init afterwards.
TEST(RemoteSyscallsTest, RunsCallsInAnotherPidNamespace) {
  ASSERT_EQ(unshare(CLONE_NEWPID), 0) << "needs CAP_SYS_ADMIN";
  Child child(SleepInTwoThreads);
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
