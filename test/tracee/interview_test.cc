#include "dump/tracee/remote_syscalls.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <latch>
#include <span>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "test/tracee/child.h"
#include "test/tracee/tracer.h"

namespace dumpctl {
namespace {

// What a thread of InterviewedThreads makes of itself; in shared memory.
struct Self {
  std::atomic<pid_t> tid;
  uint64_t altstack;
  uint64_t tid_address;
};

// Memory that a child and the test share.
struct Shared {
  std::span<Self> selves;
  std::atomic<bool>* enough;  // set by the test: sleep no more
};

// A child of so many threads beside the first, all of which sleep, again and again; each has
// another alternate stack (the size tells its number), another pdeath signal, and other securebits.
// The last one blocks all that could tell. 0 if no sleep was interrupted and no mask changed.
int InterviewedThreads(int ready, const Shared& shared) {
  const std::span<Self> selves = shared.selves;
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
    stack_t before;
    wrong += sigaltstack(&stack, &before) != 0;
    wrong += prctl(PR_SET_PDEATHSIG, 1 + number % 30) != 0;
    wrong += prctl(PR_SET_SECUREBITS, number % 2 == 0 ? 0 : 1 << 4) != 0;
    selves[number].altstack = reinterpret_cast<uint64_t>(memory.data());
    prctl(PR_GET_TID_ADDRESS, &selves[number].tid_address);
    selves[number].tid = gettid();
    prepared.arrive_and_wait();
    const timespec span = {.tv_sec = 0, .tv_nsec = 100'000'000};
    while (!*shared.enough) wrong += nanosleep(&span, nullptr) != 0;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, nullptr, &now, 8);
    wrong += std::memcmp(&now, &mask, 8) != 0;
    // AddressSanitizer gives each thread one, and frees what stands there at its end.
    wrong += sigaltstack(&before, nullptr) != 0;
  };
  std::vector<std::thread> threads;
  for (size_t i = 0; i < selves.size(); ++i) threads.emplace_back(body, i);
  prepared.arrive_and_wait();
  usleep(50'000);
  Ready(ready);
  for (std::thread& thread : threads) thread.join();
  return wrong;
}

template <typename T>
T* NewShared(size_t count) {
  void* const memory =
      mmap(nullptr, count * sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  return static_cast<T*>(memory);
}

Shared SharedBy(size_t count) {
  return {.selves = {NewShared<Self>(count), count}, .enough = NewShared<std::atomic<bool>>(1)};
}

TEST(InterviewTest, InterviewsManyThreads) {
  // More than there are places for, and than there are answers in the scratch memory.
  const Shared shared = SharedBy(500);
  const std::span<Self> selves = shared.selves;
  Child child([&](int ready) { return InterviewedThreads(ready, shared); });
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
  *shared.enough = true;
  EXPECT_EQ(child.Join(), 0);
}

// The tracer does nothing but interviews, and is killed at some instant.
void KillTracerThatInterviews(std::chrono::microseconds after) {
  SCOPED_TRACE(after.count());
  const Shared shared = SharedBy(20);
  Child child([&](int ready) { return InterviewedThreads(ready, shared); });
  const std::string before = Maps(child.pid());
  int began[2];
  ASSERT_EQ(pipe(began), 0);
  const pid_t tracer = ForkTracer(child, [&](FrozenTask& task, RemoteSyscalls& calls) {
    Ready(began[1]);
    while (calls.Interview(task.threads()).ok()) {
    }
    return 3;
  });
  // A tracer that gave up is heard of as well.
  close(began[1]);
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
  *shared.enough = true;
  EXPECT_EQ(child.Join(), 0);
  close(began[0]);
}

TEST(InterviewTest, ManyThreadsFindHomeWhenTheirTracerIsKilledInAnInterview) {
  for (int i = 0; i < 20; ++i) KillTracerThatInterviews(std::chrono::microseconds(37 * i));
}

}  // namespace
}  // namespace dumpctl
