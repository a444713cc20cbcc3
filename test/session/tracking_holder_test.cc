#include "dump/session/tracking_holder.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dump/session/holder_packets.h"
#include "dump/session/kept_runs.h"
#include "dump/session/task_claim.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dumpctl {
namespace {

constexpr uid_t kNobody = 65534;

// A child of that user, which runs `body`; 0 where it is told true.
template <typename Body>
int EndOfNobody(const Body& body) {
  const pid_t pid = fork();
  if (pid == 0) _exit(setuid(kNobody) == 0 && body() ? 0 : 1);
  int status = -1;
  waitpid(pid, &status, 0);
  return status;
}

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
    tree.tasks.front().claim = std::move(claim_);
    return holder_->Keep(*root_, tree, std::span(&pidfd, 1));
  }
  bool IsClaimed() {
    const auto claim = ClaimTask(pid_, root_->stat.start_time);
    EXPECT_TRUE(claim.ok() || absl::IsUnavailable(claim.status())) << claim.status();
    return !claim.ok();
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
  UniqueFd claim_;
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

TEST_F(TrackingHolderTest, KeepsAClaimUntilItIsTaken) {
  claim_ = *ClaimTask(pid_, root_->stat.start_time);
  sent_ = *KeepRuns({});
  ASSERT_TRUE(Keep().ok());
  holder_.reset();
  EXPECT_TRUE(IsClaimed());
  EXPECT_TRUE(ClaimTask(pid_, root_->stat.start_time + 1).ok()) << "another process";
  const auto asked = AskHolder(*root_);
  ASSERT_TRUE(asked.ok() && *asked) << asked.status();
  EXPECT_FALSE((*asked)->tasks[0].claim);
  EXPECT_TRUE(IsClaimed());
  {
    const auto taken = TakeFromHolder(*root_);
    ASSERT_TRUE(taken.ok() && *taken) << taken.status();
    EXPECT_TRUE((*taken)->tasks[0].claim);
    EXPECT_TRUE((*taken)->tasks[0].sent);
    EXPECT_TRUE(IsClaimed());
  }
  EXPECT_FALSE(IsClaimed()) << "by whom it was taken from";
}

TEST_F(TrackingHolderTest, EndsWithTheRoot) {
  claim_ = *ClaimTask(pid_, root_->stat.start_time);
  ASSERT_TRUE(Keep().ok());
  EXPECT_TRUE(IsHeld());
  kill(pid_, SIGKILL);
  EXPECT_TRUE(IsHeldNoMore());
  EXPECT_FALSE(*AskHolder(*root_));
  for (int i = 0; i < 5000 && IsClaimed(); ++i) usleep(1000);
  EXPECT_FALSE(IsClaimed());
}

// What is held of one that has ended is given up, while the others are held.
TEST_F(TrackingHolderTest, OutlivesTheOthers) {
  const pid_t child = fork();
  if (child == 0) {
    holder_.reset();
    read_end_.Reset();
    write_end_.Reset();
    for (;;) pause();
  }
  const UniqueFd childs(static_cast<int>(syscall(SYS_pidfd_open, child, 0)));
  TrackedTree tree{.run_id = "some run", .way = TrackingWay::kSoftDirty};
  tree.tasks.push_back({pid_, 1, UniqueFd(open("/dev/null", O_WRONLY | O_CLOEXEC))});
  tree.tasks.push_back({child, 2, std::move(write_end_)});
  const BorrowedFd pidfds[] = {BorrowedFd(root_->pidfd), BorrowedFd(childs)};
  ASSERT_TRUE(holder_->Keep(*root_, tree, pidfds).ok());
  tree.tasks.clear();
  EXPECT_TRUE(IsHeld());
  EXPECT_EQ((*AskHolder(*root_))->tasks.size(), 2u);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  EXPECT_TRUE(IsHeldNoMore());
  const auto asked = AskHolder(*root_);
  ASSERT_TRUE(asked.ok() && *asked) << asked.status();
  ASSERT_EQ((*asked)->tasks.size(), 1u);
  EXPECT_EQ((*asked)->tasks[0].pid, pid_);
}

TEST_F(TrackingHolderTest, TellsAnotherUserNothing) {
  if (geteuid() != 0) GTEST_SKIP() << "not root";
  ASSERT_TRUE(Keep().ok());
  EXPECT_EQ(EndOfNobody([&] {
              const auto taken = TakeFromHolder(*root_);
              return taken.ok() && !*taken;
            }),
            0);
  EXPECT_TRUE(*AskHolder(*root_)) << "it goes on";
  EXPECT_TRUE(IsHeld());
}

// A name may be taken by anybody.
TEST_F(TrackingHolderTest, IsNotBelievedOfAnotherUser) {
  if (geteuid() != 0) GTEST_SKIP() << "not root";
  int ready[2];
  ASSERT_EQ(pipe2(ready, O_CLOEXEC), 0);
  const pid_t liar = fork();
  if (liar == 0) {
    const holder::Address address = holder::AddressOf(pid_, root_->stat.start_time);
    const UniqueFd listening = holder::NewSocket();
    if (setuid(kNobody) != 0 ||
        bind(listening.get(), reinterpret_cast<const sockaddr*>(&address.name), address.size) < 0 ||
        listen(listening.get(), 1) < 0 || write(ready[1], "r", 1) != 1) {
      _exit(1);
    }
    for (;;) {
      const UniqueFd peer(accept(listening.get(), nullptr, nullptr));
      holder::Head head;
      holder::Send(peer.get(), &head, sizeof head);
    }
  }
  close(ready[1]);
  char byte;
  EXPECT_EQ(read(ready[0], &byte, 1), 1);
  close(ready[0]);
  const auto asked = AskHolder(*root_);
  EXPECT_TRUE(asked.ok() && !*asked) << asked.status();
  kill(liar, SIGKILL);
  waitpid(liar, nullptr, 0);
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
