#include "dump/session/tracking_holder.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dump/session/kept_runs.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dumpctl {
namespace {

// A child that sleeps is the tree, and the write end of a pipe what is held: as long as somebody
// has it open, its other end does not end.
class TrackingHolderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    int ends[2];
    ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
    read_end_.Reset(ends[0]);
    write_end_.Reset(ends[1]);
    auto holder = TrackingHolder::Start();
    ASSERT_TRUE(holder.ok()) << holder.status();
    holder_.emplace(*std::move(holder));
    pid_ = fork();
    if (pid_ == 0) {
      // The holder ends when all who could give it something have.
      holder_.reset();
      read_end_.Reset();
      write_end_.Reset();
      for (;;) pause();
    }
    root_.emplace(Target{.pid = pid_, .dir = *ProcDir::OpenTask(pid_)});
    root_->pidfd.Reset(static_cast<int>(syscall(SYS_pidfd_open, pid_, 0)));
    root_->stat.start_time = 1234;
  }
  void TearDown() override {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }

  absl::Status Keep() {
    TrackedTree tree{.run_id = "some run"};
    const BorrowedFd pidfd(root_->pidfd);
    tree.tasks.push_back({pid_, *IdentityOf(pidfd), std::move(write_end_), std::move(sent_)});
    return holder_->Keep(*root_, tree, std::span(&pidfd, 1));
  }

  bool IsHeld() {
    char byte;
    fcntl(read_end_.get(), F_SETFL, O_NONBLOCK);
    return read(read_end_.get(), &byte, 1) < 0 && errno == EAGAIN;
  }
  bool IsHeldNoMore() {
    for (int i = 0; i < 5000 && IsHeld(); ++i) usleep(1000);
    return !IsHeld();
  }

  pid_t pid_ = 0;
  UniqueFd read_end_;
  UniqueFd write_end_;
  UniqueFd sent_;
  std::optional<TrackingHolder> holder_;
  std::optional<Target> root_;
};

TEST_F(TrackingHolderTest, HoldsUntilSomebodyTakesOver) {
  EXPECT_FALSE(*AskHolder(*root_));
  ASSERT_TRUE(Keep().ok());
  holder_.reset();
  for (int i = 0; i < 2; ++i) {
    const auto asked = AskHolder(*root_);
    ASSERT_TRUE(asked.ok() && *asked) << asked.status();
    EXPECT_EQ((*asked)->run_id, "some run");
    ASSERT_EQ((*asked)->tasks.size(), 1u);
    EXPECT_EQ((*asked)->tasks[0].pid, pid_);
    EXPECT_EQ((*asked)->tasks[0].identity, *IdentityOf(BorrowedFd(root_->pidfd)));
    EXPECT_FALSE((*asked)->tasks[0].watch);
    EXPECT_TRUE(IsHeld());
  }
  {
    const auto taken = TakeFromHolder(*root_);
    ASSERT_TRUE(taken.ok() && *taken) << taken.status();
    EXPECT_EQ((*taken)->run_id, "some run");
    EXPECT_TRUE((*taken)->tasks[0].watch);
    EXPECT_FALSE(*AskHolder(*root_)) << "it is found no more";
    EXPECT_TRUE(IsHeld());
  }
  EXPECT_TRUE(IsHeldNoMore());
}

TEST_F(TrackingHolderTest, KeepsWhatAPageServerHas) {
  const std::vector<PageRun> runs = {{RemoteAddress(0x1000), 2}, {RemoteAddress(0x7000), 1}};
  sent_ = *KeepRuns(runs);
  ASSERT_TRUE(Keep().ok());
  for (const auto& ask : {AskHolder, TakeFromHolder}) {
    const auto told = ask(*root_);
    ASSERT_TRUE(told.ok() && *told) << told.status();
    EXPECT_EQ(*ReadRuns(BorrowedFd((*told)->tasks[0].sent)), runs);
  }
}

TEST_F(TrackingHolderTest, EndsWithTheRoot) {
  ASSERT_TRUE(Keep().ok());
  EXPECT_TRUE(IsHeld());
  kill(pid_, SIGKILL);
  EXPECT_TRUE(IsHeldNoMore());
  EXPECT_FALSE(*AskHolder(*root_));
}

TEST_F(TrackingHolderTest, IsNotFoundByOneThatWasStartedLater) {
  ASSERT_TRUE(Keep().ok());
  root_->stat.start_time += 1;
  EXPECT_FALSE(*AskHolder(*root_));
  EXPECT_TRUE(IsHeld());
}

TEST_F(TrackingHolderTest, IsOneAlone) {
  ASSERT_TRUE(Keep().ok());
  auto other = TrackingHolder::Start();
  ASSERT_TRUE(other.ok());
  holder_.emplace(*std::move(other));
  write_end_.Reset(open("/dev/null", O_WRONLY | O_CLOEXEC));
  EXPECT_EQ(Keep().code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(*AskHolder(*root_)) << "the first";
}

TEST_F(TrackingHolderTest, EndsWithItsDumper) {
  EXPECT_TRUE(IsHeld());
  write_end_.Reset();
  holder_.reset();
  EXPECT_TRUE(IsHeldNoMore());
}

}  // namespace
}  // namespace dumpctl
