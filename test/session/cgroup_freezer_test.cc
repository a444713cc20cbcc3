#include "dump/session/cgroup_freezer.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "test/temporary_directory.h"

namespace dumpctl {
namespace {

using testing::HasSubstr;

// One cgroup with a process in it, of either version.
class CgroupFreezerTest : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    path_ = absl::StrCat("/sys/fs/cgroup/", GetParam(), "/dumpctl-freezer-", getpid());
    if (mkdir(path_.c_str(), 0755) < 0) GTEST_SKIP() << "no such cgroups to write to";
    child_ = fork();
    if (child_ == 0) {
      for (;;) pause();
    }
    std::ofstream(path_ + "/cgroup.procs") << child_ << std::flush;
  }
  void TearDown() override {
    if (child_ <= 0) return;
    Set(false);
    kill(child_, SIGKILL);
    waitpid(child_, nullptr, 0);
    for (int i = 0; i < 200 && rmdir(path_.c_str()) < 0; ++i) absl::SleepFor(absl::Milliseconds(5));
  }

  bool IsVersion1() const { return std::string(GetParam()) == "freezer"; }
  void Set(bool frozen) const {
    if (IsVersion1()) {
      std::ofstream(path_ + "/freezer.state") << (frozen ? "FROZEN" : "THAWED") << std::flush;
    } else {
      std::ofstream(path_ + "/cgroup.freeze") << (frozen ? "1" : "0") << std::flush;
    }
  }
  bool IsFrozen() const {
    std::ifstream file(path_ + (IsVersion1() ? "/freezer.state" : "/cgroup.events"));
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    return text.find(IsVersion1() ? "FROZEN" : "frozen 1") != text.npos;
  }
  // Sooner or later.
  bool Becomes(bool frozen) const {
    for (int i = 0; i < 1000; ++i) {
      if (IsFrozen() == frozen) return true;
      absl::SleepFor(absl::Milliseconds(2));
    }
    return false;
  }
  static absl::Time Soon() { return absl::Now() + absl::Seconds(5); }

  std::string path_;
  pid_t child_ = 0;
};

TEST_P(CgroupFreezerTest, FreezesAndPutsBack) {
  CgroupFreezer freezer(path_);
  ASSERT_TRUE(freezer.Freeze(Soon(), {}).ok());
  EXPECT_TRUE(IsFrozen());
  EXPECT_FALSE(freezer.was_frozen());
  ASSERT_TRUE(freezer.Thaw().ok());
  EXPECT_TRUE(Becomes(false));
  ASSERT_TRUE(freezer.PutBack().ok());
  EXPECT_TRUE(Becomes(false));
}

TEST_P(CgroupFreezerTest, KeepsWhatWasFrozen) {
  Set(true);
  ASSERT_TRUE(Becomes(true));
  {
    CgroupFreezer freezer(path_);
    ASSERT_TRUE(freezer.Freeze(Soon(), {}).ok());
    EXPECT_TRUE(freezer.was_frozen());
    ASSERT_TRUE(freezer.Thaw().ok());
    EXPECT_TRUE(Becomes(false));
  }
  EXPECT_TRUE(Becomes(true));
}

// Killed when it is frozen, and when it is thawed.
TEST_P(CgroupFreezerTest, IsPutBackWhenWeAreKilled) {
  ASSERT_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
  for (const bool before : {false, true}) {
    for (const bool thawed : {false, true}) {
      Set(before);
      ASSERT_TRUE(Becomes(before));
      const pid_t dumper = fork();
      if (dumper == 0) {
        CgroupFreezer freezer(path_);
        const bool frozen = freezer.Freeze(Soon(), {}).ok();
        if (thawed && !freezer.Thaw().ok()) _exit(2);
        if (!frozen) _exit(1);
        kill(getpid(), SIGKILL);
      }
      int status = 0;
      ASSERT_EQ(waitpid(dumper, &status, 0), dumper);
      ASSERT_TRUE(WIFSIGNALED(status)) << status;
      // The guardian, whose deed is to be done before the next round.
      ASSERT_GT(waitpid(-1, nullptr, 0), 0);
      EXPECT_TRUE(Becomes(before)) << before << thawed;
    }
  }
}

TEST_P(CgroupFreezerTest, NeitherThawsWhatIsAbove) {
  Set(true);
  ASSERT_TRUE(Becomes(true));
  const std::string below = path_ + "/below";
  ASSERT_EQ(mkdir(below.c_str(), 0755), 0);
  CgroupFreezer freezer(below);
  EXPECT_THAT(std::string(freezer.Freeze(Soon(), {}).message()), HasSubstr("by one above it"));
  EXPECT_EQ(rmdir(below.c_str()), 0);
}

TEST_P(CgroupFreezerTest, SaysWhyNot) {
  EXPECT_FALSE(CgroupFreezer::WhyNot(path_));
  EXPECT_FALSE(CgroupFreezer::WhyNot(""));
  EXPECT_THAT(CgroupFreezer::WhyNot("/sys/fs/cgroup/none")->why, HasSubstr("no freezer"));
  // The root has none.
  EXPECT_THAT(CgroupFreezer::WhyNot(absl::StrCat("/sys/fs/cgroup/", GetParam()))->why,
              HasSubstr("no freezer"));
  const std::string below = path_ + "/below";
  ASSERT_EQ(mkdir(below.c_str(), 0755), 0);
  std::ofstream(below + "/cgroup.procs") << getpid() << std::flush;
  EXPECT_THAT(CgroupFreezer::WhyNot(path_)->why, HasSubstr("dumpctl is in it"));
  std::ofstream(absl::StrCat("/sys/fs/cgroup/", GetParam(), "/cgroup.procs"))
      << getpid() << std::flush;
  EXPECT_EQ(rmdir(below.c_str()), 0);
}

// Directories that come and go below another, as cgroups do below one in use.
class ComingAndGoing {
 public:
  explicit ComingAndGoing(std::string path) : path_(std::move(path)) {}
  ~ComingAndGoing() {
    ends_ = true;
    thread_.join();
  }

 private:
  void Run() {
    for (int i = 0; !ends_; ++i) {
      constexpr int kMost = 20;
      const std::string name = absl::StrCat(path_, "/", i % kMost);
      if (rmdir(name.c_str()) < 0) mkdir(name.c_str(), 0755);
    }
  }

  const std::string path_;
  std::atomic<bool> ends_ = false;
  std::thread thread_{&ComingAndGoing::Run, this};
};

// What vanishes on the way keeps nothing else from being looked at.
TEST(CgroupFreezerWalkTest, LooksAtAllThatStaysWhileOthersComeAndGo) {
  const TemporaryDirectory place;
  place.Write("cgroup.freeze", "0");
  const ComingAndGoing others(place.path());
  constexpr int kRounds = 500;
  for (int i = 0; i < kRounds; ++i) ASSERT_FALSE(CgroupFreezer::WhyNot(place.path()));
  std::filesystem::create_directories(place.Path("ours/inner"));
  place.Write("ours/inner/cgroup.procs", absl::StrCat("1\n", getpid(), "\n"));
  for (int i = 0; i < kRounds; ++i) {
    const auto why = CgroupFreezer::WhyNot(place.path());
    ASSERT_TRUE(why) << "we are not seen in round " << i;
    EXPECT_THAT(why->why, HasSubstr("dumpctl is in it"));
  }
}

INSTANTIATE_TEST_SUITE_P(Versions, CgroupFreezerTest, ::testing::Values("freezer", "unified"));

}  // namespace
}  // namespace dumpctl
