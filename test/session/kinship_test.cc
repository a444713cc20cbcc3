#include "dump/session/kinship.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <set>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dumpctl {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

// A child that has run `body`, as far as that comes back, and waits until it is killed.
class Forked {
 public:
  explicit Forked(const std::function<void()>& body) {
    int running[2];
    EXPECT_EQ(pipe2(running, O_CLOEXEC), 0);
    pid_ = fork();
    if (pid_ == 0) {
      body();
      close(running[1]);
      for (;;) pause();
    }
    close(running[1]);
    char none;
    EXPECT_EQ(read(running[0], &none, 1), 0);
    close(running[0]);
  }
  ~Forked() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  Forked(const Forked&) = delete;
  Forked& operator=(const Forked&) = delete;

  pid_t pid() const { return pid_; }
  Target target() const {
    ProcDir dir = *ProcDir::OpenTask(pid_);
    TaskStat stat = *ParseStat(*dir.ReadWhole("stat"));
    return {.pid = pid_, .dir = std::move(dir), .stat = std::move(stat)};
  }

 private:
  pid_t pid_ = 0;
};

TEST(KinshipTest, ForkMakesItAndExecveEndsIt) {
  const auto sleep = [] { execl("/bin/sleep", "sleep", "60", nullptr); };
  const Forked one(sleep);
  const Forked other(sleep);
  std::vector<Target> targets;
  targets.push_back(one.target());
  targets.push_back(other.target());
  EXPECT_THAT(KinshipOf(targets).alone, UnorderedElementsAre(one.pid(), other.pid()));
  targets.push_back(other.target());
  targets.back().stat.arg_start += 4096;  // it has renamed itself
  const Kinship kinship = KinshipOf(targets);
  EXPECT_THAT(kinship.alone, ElementsAre(one.pid()));
  EXPECT_FALSE(kinship.MayShare(one.pid(), true));
  EXPECT_TRUE(kinship.MayShare(other.pid(), true));
  EXPECT_TRUE(kinship.MayShare(one.pid(), false)) << "one that has come since may be its child";
  EXPECT_THAT(KinshipOf({}).alone, IsEmpty());
}

// Whose parent is not dumped.
TEST(KinshipTest, TheRootsParentCounts) {
  const Forked one([] {});
  std::vector<Target> targets;
  targets.push_back(one.target());
  EXPECT_THAT(KinshipOf(targets).alone, IsEmpty());
  EXPECT_THAT(KinshipOf(targets).of_parent, ElementsAre(one.pid()));
}

}  // namespace
}  // namespace dumpctl
