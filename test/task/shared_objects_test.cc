#include "dump/task/shared_objects.h"

#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <set>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace dumpctl {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

class SharedObjectsTest : public ::testing::Test {
 protected:
  ~SharedObjectsTest() override {
    for (const pid_t pid : children_) {
      kill(pid, SIGKILL);
      waitpid(pid, nullptr, 0);
    }
  }

  // A process that shares with us what the flags of clone(2) say.
  pid_t Start(unsigned long flags) {
    const pid_t pid =
        static_cast<pid_t>(syscall(SYS_clone, flags | SIGCHLD, nullptr, nullptr, nullptr, nullptr));
    if (pid == 0) {
      for (;;) pause();
    }
    children_.push_back(pid);
    return pid;
  }

  // One with our memory as well.
  pid_t StartBeside(int flags) {
    constexpr size_t kStack = 64 << 10;
    stacks_.push_back(std::make_unique<char[]>(kStack));
    const auto sleep = [](void*) -> int {
      for (;;) pause();
    };
    const pid_t pid =
        clone(sleep, stacks_.back().get() + kStack, flags | CLONE_VM | SIGCHLD, nullptr);
    children_.push_back(pid);
    return pid;
  }

  std::vector<std::unique_ptr<char[]>> stacks_;
  std::vector<pid_t> children_;
};

TEST_F(SharedObjectsTest, NothingIsAskedAboutOne) {
  const pid_t pids[] = {getpid()};
  const auto ids = IdentifyObjects(pids);
  ASSERT_TRUE(ids.ok()) << ids.status();
  EXPECT_EQ((*ids)[0].vm, kDumperObject + 1);
  EXPECT_EQ((*ids)[0].sighand, kDumperObject + 1);
}

// Whatever is thought of their order, they are what they are.
TEST_F(SharedObjectsTest, AnyOrderGivesTheSame) {
  std::vector<pid_t> pids = {getpid()};
  for (int i = 0; i < 3; ++i) pids.push_back(Start(0));
  pids.push_back(Start(CLONE_FILES));
  pids.push_back(Start(CLONE_FS));
  const auto ids = IdentifyObjects(pids);
  ASSERT_TRUE(ids.ok()) << ids.status();
  ObjectOrder order;
  for (int i = 0; i < 2; ++i) {  // with none, and with the right one
    const auto again = IdentifyObjects(pids, order);
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ(*again, *ids);
    for (size_t kind = 0; kind < 3; ++kind) EXPECT_EQ(order.sorted[kind].size(), pids.size());
    // Nobody has memory in common: nobody is asked for handlers.
    EXPECT_THAT(order.sorted[3], IsEmpty());
  }
  ObjectOrder wrong = order;
  for (auto& sorted : wrong.sorted) std::reverse(sorted.begin(), sorted.end());
  EXPECT_EQ(*IdentifyObjects(pids, wrong), *ids);
  EXPECT_EQ(wrong.sorted, order.sorted);
  // Somebody has come, and somebody has gone.
  pids.push_back(Start(0));
  pids.erase(pids.begin() + 1);
  EXPECT_EQ(*IdentifyObjects(pids, order), *IdentifyObjects(pids));
}

TEST_F(SharedObjectsTest, EachKindIsItsOwn) {
  const pid_t forked = Start(0);
  const pid_t files = Start(CLONE_FILES);
  const pid_t fs = Start(CLONE_FS);
  const pid_t pids[] = {getpid(), forked, files, fs};
  const auto ids = IdentifyObjects(pids);
  ASSERT_TRUE(ids.ok()) << ids.status();
  const ObjectIds& us = (*ids)[0];
  EXPECT_NE((*ids)[1].vm, us.vm);
  EXPECT_NE((*ids)[1].files, us.files);
  EXPECT_NE((*ids)[1].fs, us.fs);
  EXPECT_NE((*ids)[1].sighand, us.sighand);
  EXPECT_EQ((*ids)[2].files, us.files);
  EXPECT_NE((*ids)[2].fs, us.fs);
  EXPECT_EQ((*ids)[3].fs, us.fs);
  EXPECT_NE((*ids)[3].files, us.files);
}

TEST_F(SharedObjectsTest, HandlersAreToldApartWhereMemoryIsTheSame) {
  const pid_t forked = Start(0);
  const pid_t memory = StartBeside(0);
  const pid_t both = StartBeside(CLONE_SIGHAND);
  const pid_t pids[] = {forked, memory, getpid(), both};
  ObjectOrder order;
  const auto ids = IdentifyObjects(pids, order);
  ASSERT_TRUE(ids.ok()) << ids.status();
  const ObjectIds& us = (*ids)[2];
  EXPECT_EQ((*ids)[1].vm, us.vm);
  EXPECT_EQ((*ids)[3].vm, us.vm);
  EXPECT_EQ((*ids)[3].sighand, us.sighand);
  const std::set<uint32_t> different = {(*ids)[0].sighand, (*ids)[1].sighand, us.sighand};
  EXPECT_THAT(different, SizeIs(3));
  EXPECT_THAT(order.sorted[3], SizeIs(3));
  EXPECT_EQ(*IdentifyObjects(pids, order), *ids);
}

TEST_F(SharedObjectsTest, ManyAreToldApartInAnyOrder) {
  std::vector<pid_t> pids;
  for (int i = 0; i < 20; ++i) pids.push_back(Start(i % 2 == 0 ? CLONE_FILES : 0));
  std::reverse(pids.begin(), pids.end());
  const auto ids = IdentifyObjects(pids);
  ASSERT_TRUE(ids.ok()) << ids.status();
  std::set<uint32_t> files;
  std::set<uint32_t> memories;
  for (const ObjectIds& each : *ids) {
    files.insert(each.files);
    memories.insert(each.vm);
  }
  EXPECT_EQ(files.size(), 11u);  // ten of their own, and ours
  EXPECT_EQ(memories.size(), 20u);
}

TEST_F(SharedObjectsTest, SomebodyWhoIsGone) {
  const pid_t gone = fork();
  if (gone == 0) _exit(0);
  waitpid(gone, nullptr, 0);
  const pid_t pids[] = {getpid(), gone};
  EXPECT_TRUE(absl::IsNotFound(IdentifyObjects(pids).status()));
}

}  // namespace
}  // namespace dumpctl
