#include "proc/proc_fs.h"

#include <grp.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vector>

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

TEST(ProcDirTest, ReadsAFileOfOnePieceAtOnce) {
  auto dir = ProcDir::OpenTask(getpid());
  ASSERT_TRUE(dir.ok()) << dir.status();
  EXPECT_EQ(dir->ReadWhole("comm").value_or("?"), *dir->Read("comm"));
  EXPECT_EQ(dir->ReadWhole("limits").value_or("?"), *dir->Read("limits"));
  EXPECT_EQ(dir->ReadWhole("no").status().code(), absl::StatusCode::kNotFound);
  // More than one read holds: as many groups as make the text long enough.
  const pid_t child = fork();
  if (child == 0) {
    std::vector<gid_t> groups(1000, 1234567890);
    if (setgroups(groups.size(), groups.data()) != 0) _exit(2);
    const auto self = ProcDir::OpenTask(getpid());
    const auto text = self->ReadWhole("status");
    _exit(text.ok() && text->size() > 8192 && text->ends_with('\n') ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0) << "exit 2: needs CAP_SETGID";
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
