#include "proc/proc_fs.h"

#include <grp.h>
#include <sys/wait.h>
#include <unistd.h>

#include <future>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dumpctl {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
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

TEST(ProcDirTest, CountsThreads) {
  const auto dir = ProcDir::OpenTask(getpid());
  ASSERT_TRUE(dir.ok());
  EXPECT_EQ(CountThreads(*dir), 1u);
  EXPECT_THAT(*ListThreads(*dir, getpid()), ElementsAre(getpid()));
  // More of them than the first read of the directory holds.
  constexpr size_t kMany = 300;
  std::promise<void> end;
  const std::shared_future<void> ends = end.get_future().share();
  std::set<int> tids = {getpid()};
  std::mutex mutex;
  std::vector<std::thread> threads;
  for (size_t i = 0; i < kMany; ++i) {
    threads.emplace_back([&] {
      {
        const std::lock_guard lock(mutex);
        tids.insert(gettid());
      }
      ends.wait();
    });
  }
  const auto started = [&] {
    const std::lock_guard lock(mutex);
    return tids.size() == kMany + 1;
  };
  while (!started()) usleep(1000);
  EXPECT_EQ(CountThreads(*dir), kMany + 1);
  EXPECT_THAT(*ListThreads(*dir, getpid()), ElementsAreArray(tids));
  end.set_value();
  for (std::thread& thread : threads) thread.join();
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
  EXPECT_EQ(CountThreads(*dir), 0u);
  EXPECT_EQ(ListThreads(*dir, child).status().code(), absl::StatusCode::kNotFound);
}

TEST(ProcDirTest, TheLeadersFilesAreThoseOfItsProcess) {
  EXPECT_EQ(ThreadFile(7, 7, "status"), "status");
  EXPECT_EQ(ThreadFile(7, 8, "status"), "task/8/status");
  const auto dir = ProcDir::OpenTask(getpid());
  ASSERT_TRUE(dir.ok());
  const std::string own = "task/" + std::to_string(getpid());
  EXPECT_EQ(*dir->Read("cgroup"), *dir->Read(own + "/cgroup"));
  // What changes all the time stands before and behind these.
  const auto signals = [](const std::string& status) {
    const size_t begin = status.find("\nSigQ:");
    return status.substr(begin, status.find("voluntary_ctxt_switches") - begin);
  };
  EXPECT_THAT(signals(*dir->Read("status")), HasSubstr("\nSigCgt:"));
  EXPECT_EQ(signals(*dir->Read("status")), signals(*dir->Read(own + "/status")));
}

}  // namespace
}  // namespace dumpctl
