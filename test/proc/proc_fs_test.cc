#include "proc/proc_fs.h"

#include <sys/wait.h>
#include <unistd.h>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dumpctl {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

TEST(ProcDirTest, ReadsItsOwnStatusAndLinks) {
  auto dir = ProcDir::OpenTask(getpid());
  ASSERT_TRUE(dir.ok()) << dir.status();
  auto status = dir->Read("status");
  ASSERT_TRUE(status.ok()) << status.status();
  EXPECT_THAT(*status, HasSubstr("\nPid:\t" + std::to_string(getpid()) + "\n"));
  char exe[4096] = {};
  ASSERT_GT(readlink("/proc/self/exe", exe, sizeof exe - 1), 0);
  EXPECT_EQ(*dir->ReadLink("exe"), exe);
}

TEST(ProcDirTest, ListsThreads) {
  auto dir = ProcDir::OpenTask(getpid());
  ASSERT_TRUE(dir.ok());
  EXPECT_THAT(*ListNumbers(*dir, "task"), Contains(getpid()));
  auto thread = dir->OpenThread(getpid());
  ASSERT_TRUE(thread.ok()) << thread.status();
  EXPECT_TRUE(thread->Read("comm").ok());
}

TEST(ProcDirTest, AReapedTaskIsNotFound) {
  const pid_t child = fork();
  if (child == 0) {
    pause();
    _exit(0);
  }
  auto dir = ProcDir::OpenTask(child);
  ASSERT_TRUE(dir.ok());
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  EXPECT_EQ(dir->Read("status").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ProcDir::OpenTask(child).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace dumpctl
