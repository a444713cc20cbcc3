#include "dump/tracee/frozen_tree.h"

#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dumpctl/failure.h"
#include "proc/stat_parser.h"
#include "test/tracee/child.h"

namespace dumpctl {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAreArray;

std::vector<pid_t> PidsOf(const FrozenTree& tree) {
  std::vector<pid_t> pids;
  for (const FrozenTask& task : tree.tasks()) pids.push_back(task.pid());
  return pids;
}

pid_t ForkSleeper() {
  const pid_t pid = fork();
  if (pid == 0) {
    for (;;) pause();
  }
  return pid;
}

// Whom a task is traced by: 0 for nobody.
bool IsTraced(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("TracerPid:")) return line != "TracerPid:\t0";
  }
  ADD_FAILURE() << pid << " is gone";
  return false;
}

void StartAnother() { std::thread(StartAnother).detach(); }

TEST(FrozenTreeTest, ParentsStandBeforeTheirChildren) {
  pid_t pids[3] = {};
  int pipe_fds[2];
  ASSERT_EQ(pipe(pipe_fds), 0);
  Child root([&](int ready) {
    const pid_t first = fork();
    if (first == 0) {
      const pid_t below[2] = {getpid(), ForkSleeper()};
      EXPECT_EQ(write(pipe_fds[1], below, sizeof below), static_cast<ssize_t>(sizeof below));
      for (;;) pause();
    }
    Ready(ready);
    for (;;) pause();
    return 0;
  });
  pids[0] = root.pid();
  ASSERT_EQ(read(pipe_fds[0], pids + 1, 2 * sizeof(pid_t)),
            static_cast<ssize_t>(2 * sizeof(pid_t)));
  {
    auto tree = FrozenTree::Freeze(root.pid(), Soon());
    ASSERT_TRUE(tree.ok()) << tree.status();
    EXPECT_THAT(PidsOf(*tree), ElementsAre(pids[0], pids[1], pids[2]));
    EXPECT_THAT(tree->zombies(), SizeIs(0));
    EXPECT_EQ(tree->threads(), 3u);
    for (const pid_t pid : pids) EXPECT_TRUE(IsTraced(pid));
  }
  for (const pid_t pid : pids) EXPECT_FALSE(IsTraced(pid));
  kill(pids[2], SIGKILL);
  kill(pids[1], SIGKILL);
  close(pipe_fds[0]);
  close(pipe_fds[1]);
}

TEST(FrozenTreeTest, ZombiesKeepHowTheyEnded) {
  Child root([](int ready) {
    const pid_t dead = fork();
    if (dead == 0) _exit(7);
    siginfo_t info;
    waitid(P_PID, static_cast<id_t>(dead), &info, WEXITED | WNOWAIT);
    Ready(ready);
    for (;;) pause();
    return 0;
  });
  auto tree = FrozenTree::Freeze(root.pid(), Soon());
  ASSERT_TRUE(tree.ok()) << tree.status();
  EXPECT_THAT(PidsOf(*tree), ElementsAre(root.pid()));
  ASSERT_THAT(tree->zombies(), SizeIs(1));
  const auto stat = ParseStat(tree->zombies()[0].stat_text);
  ASSERT_TRUE(stat.ok());
  EXPECT_EQ(stat->ppid, root.pid());
  EXPECT_EQ(stat->exit_code, 7 << 8);
}

TEST(FrozenTreeTest, NoThreadIsLostWhileThreadsComeAndGo) {
  Child root([](int ready) {
    for (int i = 0; i < 2; ++i) std::thread(StartAnother).detach();
    Ready(ready);
    for (;;) pause();
    return 0;
  });
  for (int i = 0; i < 100; ++i) {
    auto tree = FrozenTree::Freeze(root.pid(), Soon());
    ASSERT_TRUE(tree.ok()) << tree.status();
    const FrozenTask& task = tree->tasks().front();
    std::vector<int> held;
    for (const FrozenThread& thread : task.threads()) held.push_back(thread.tid);
    // Those that were ending may be there a little longer; one that runs has followers for ever.
    std::vector<int> there;
    for (int tries = 0; tries < 500; ++tries) {
      there = ListNumbers(task.dir(), "task").value();
      if (there.size() == held.size()) break;
      usleep(1000);
    }
    ASSERT_THAT(there, UnorderedElementsAreArray(held));
    ASSERT_TRUE(tree->Resume().ok());
  }
}

// Whoever has a parent in the tree is in it.
void ExpectAllChildrenIn(const FrozenTree& tree) {
  for (const FrozenTask& task : tree.tasks()) {
    const auto children = task.dir().Read("task/" + std::to_string(task.pid()) + "/children");
    ASSERT_TRUE(children.ok());
    std::istringstream text(*children);
    for (pid_t pid; text >> pid;) {
      bool known = false;
      for (const FrozenTask& other : tree.tasks()) known = known || other.pid() == pid;
      for (const Zombie& zombie : tree.zombies()) known = known || zombie.pid == pid;
      EXPECT_TRUE(known) << pid;
    }
  }
}

void FreezeAgainAndAgain(pid_t root) {
  for (int i = 0; i < 200; ++i) {
    auto tree = FrozenTree::Freeze(root, Soon());
    ASSERT_TRUE(tree.ok()) << tree.status();
    ExpectAllChildrenIn(*tree);
    ASSERT_TRUE(tree->Resume().ok());
  }
}

TEST(FrozenTreeTest, NobodyIsLostWhileProcessesComeAndGo) {
  Child root([](int ready) {
    Ready(ready);
    for (;;) {
      const pid_t pid = fork();
      if (pid == 0) {
        if (fork() == 0) _exit(0);
        wait(nullptr);
        _exit(0);
      }
      waitpid(pid, nullptr, 0);
    }
    return 0;
  });
  FreezeAgainAndAgain(root.pid());
}

TEST(FrozenTreeTest, NobodyIsLostWhoLosesItsParentMeanwhile) {
  Child root([](int ready) {
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    Ready(ready);
    for (;;) {
      const pid_t pid = fork();
      if (pid == 0) {
        for (int i = 0; i < 2 && fork() == 0; ++i) continue;
        _exit(0);
      }
      while (wait(nullptr) > 0) continue;
    }
    return 0;
  });
  FreezeAgainAndAgain(root.pid());
}

// Kernel trap: a stop ends epoll_wait(2) with EINTR, which poll(2) is spared.
TEST(FrozenTreeTest, NoCallIsInterruptedWhereAnotherProcessDoesNotStop) {
  struct Told {
    std::atomic<bool> in_vfork;
    std::atomic<int> error;
    pid_t pids[2];
  };
  auto* const told = static_cast<Told*>(
      mmap(nullptr, sizeof(Told), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  const Gate gate;
  const Child root([told, &gate](int ready) {
    const pid_t first = fork();
    if (first == 0) {
      // Until that one has ended it sleeps uninterruptibly.
      if (vfork() == 0) {
        told->in_vfork = true;
        gate.Poll();
        _exit(0);
      }
      for (;;) pause();
    }
    const pid_t second = fork();
    if (second == 0) {
      epoll_event event;
      told->error = epoll_wait(epoll_create1(0), &event, 1, -1) < 0 ? errno : 1;
      for (;;) pause();
    }
    told->pids[0] = first;
    told->pids[1] = second;
    Ready(ready);
    for (;;) pause();
    return 0;
  });
  const pid_t second = told->pids[1];
  WaitUntil(told->pids[0], "calls vfork", [told] { return told->in_vfork.load(); });
  WaitUntilIn(second, SYS_epoll_wait);
  EXPECT_TRUE(IsGivenUp([&root] {
    return FrozenTree::Freeze(root.pid(), absl::Now() + absl::Milliseconds(1)).status();
  }));
  WaitUntil(second, "waits on", [&] { return told->error != 0 || IsIn(second, SYS_epoll_wait); });
  EXPECT_EQ(told->error, 0);
  gate.Open();
  for (const pid_t pid : told->pids) kill(pid, SIGKILL);
}

// Kernel trap: who is traced is woken by signals that are ignored, too. There is time for some, for
// all are seized before the first is asked to stop.
TEST(FrozenTreeTest, NoCallIsInterruptedByIgnoredSignalsWhenTheFreezeIsGivenUp) {
  struct Told {
    std::atomic<int> error;
    std::atomic<pid_t> waiter;
  };
  auto* const told = static_cast<Told*>(
      mmap(nullptr, sizeof(Told), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  const Child root([told](int ready) -> int {
    const pid_t leader = getpid();
    constexpr int kChildren = 100;
    for (int i = 0; i < kChildren; ++i) {
      if (fork() > 0) continue;
      // None of them outlives the test.
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (getppid() != leader) _exit(0);
      // The last to be looked at.
      if (i == kChildren - 1) {
        told->waiter = getpid();
        epoll_event event;
        told->error = epoll_wait(epoll_create1(0), &event, 1, -1) < 0 ? errno : 1;
      }
      for (;;) pause();
    }
    Ready(ready);
    for (;;) pause();
  });
  WaitUntil(root.pid(), "has a child that waits", [told] { return told->waiter != 0; });
  std::atomic<bool> enough = false;
  std::thread sender([&] {
    while (!enough) kill(told->waiter, SIGURG);
  });
  int given_up = 0;
  for (int i = 0; i < 50 && WaitUntilIn(told->waiter, SYS_epoll_wait); ++i) {
    given_up += IsGivenUp([&root] {
      // As if all stood already: so all are asked before one of them is waited for.
      const auto stands = [] { return absl::OkStatus(); };
      return FrozenTree::Freeze(root.pid(), absl::InfinitePast(), {}, stands).status();
    });
    if (told->error != 0) break;
  }
  enough = true;
  sender.join();
  EXPECT_GT(given_up, 0) << "all stopped at once each time";
  EXPECT_EQ(told->error, 0);
}

TEST(FrozenTreeTest, ALeaderThatHasLeftItsThreadsIsRefused) {
  Child root([](int ready) {
    const pid_t pid = fork();
    if (pid == 0) {
      std::thread([ready] {
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        while (StateOf("/proc/self") != 'Z') usleep(100);
        Ready(ready);
        for (;;) pause();
      }).detach();
      syscall(SYS_exit, 0);  // of this thread alone
    }
    for (;;) pause();
    return 0;
  });
  auto tree = FrozenTree::Freeze(root.pid(), Soon());
  EXPECT_EQ(FailureOf(tree.status()), Failure::kZombie) << tree.status();
}

// Of a process that was, and is no more.
ProcDir DirOfDead() {
  const pid_t before = ForkSleeper();
  auto dir = ProcDir::OpenTask(before);
  EXPECT_TRUE(dir.ok()) << dir.status();
  kill(before, SIGKILL);
  waitpid(before, nullptr, 0);
  return *std::move(dir);
}

TEST(FrozenTreeTest, WhatIsKnownOfAChildMayBeOfWhoHadThePidBefore) {
  int pipe_fds[2];
  ASSERT_EQ(pipe(pipe_fds), 0);
  const Child root([&](int ready) {
    const pid_t below = ForkSleeper();
    EXPECT_EQ(write(pipe_fds[1], &below, sizeof below), static_cast<ssize_t>(sizeof below));
    Ready(ready);
    for (;;) pause();
    return 0;
  });
  pid_t below = 0;
  ASSERT_EQ(read(pipe_fds[0], &below, sizeof below), static_cast<ssize_t>(sizeof below));
  auto now = ProcDir::OpenTask(below);
  ASSERT_TRUE(now.ok()) << now.status();
  for (const ProcDir& known : {DirOfDead(), *now}) {
    auto tree = FrozenTree::Freeze(root.pid(), Soon(), {}, {}, {.dirs = {{below, known}}});
    ASSERT_TRUE(tree.ok()) << tree.status();
    EXPECT_THAT(PidsOf(*tree), ElementsAre(root.pid(), below));
    EXPECT_TRUE(tree->tasks().back().dir().ReadWhole("stat").ok());
  }
  kill(below, SIGKILL);
}

// It has ended since it was looked over, and its pid is a stranger's by now.
TEST(FrozenTreeTest, NobodyIsTakenForTheRoot) {
  const Child child([](int ready) {
    Ready(ready);
    for (;;) pause();
    return 0;
  });
  const auto tree =
      FrozenTree::Freeze(child.pid(), Soon(), {}, {}, {.dirs = {{child.pid(), DirOfDead()}}});
  EXPECT_EQ(FailureOf(tree.status()), Failure::kTargetDied) << tree.status();
  EXPECT_FALSE(IsTraced(child.pid()));
}

TEST(FrozenTreeTest, NoSuchProcess) {
  const pid_t pid = fork();
  if (pid == 0) _exit(0);
  waitpid(pid, nullptr, 0);
  EXPECT_TRUE(absl::IsNotFound(FrozenTree::Freeze(pid, Soon()).status()));
}

}  // namespace
}  // namespace dumpctl
