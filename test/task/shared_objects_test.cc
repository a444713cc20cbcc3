#include "dump/task/shared_objects.h"

#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include <gtest/gtest.h>

namespace dumpctl {
namespace {

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

  std::vector<pid_t> children_;
};

TEST_F(SharedObjectsTest, NothingIsAskedAboutOne) {
  const pid_t pids[] = {getpid()};
  const auto ids = IdentifyObjects(pids);
  ASSERT_TRUE(ids.ok()) << ids.status();
  EXPECT_EQ((*ids)[0].vm, kDumperObject + 1);
  EXPECT_EQ((*ids)[0].sighand, kDumperObject + 1);
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
