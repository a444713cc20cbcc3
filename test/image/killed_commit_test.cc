#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "dump/image/image_directory.h"
#include "dumpctl/failure.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "test/temporary_directory.h"

namespace dumpctl {
namespace {

using ::testing::HasSubstr;

// A child that is killed where it is about to make its so manieth system call after Begin().
class KilledChild {
 public:
  static void Begin() {
    if (ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) < 0) _exit(1);
    raise(SIGSTOP);
  }

  // Whether it was, and did not come to its end.
  static bool Run(int call, const std::function<void()>& work) {
    const pid_t child = fork();
    if (child == 0) {
      work();
      _exit(0);  // nothing is destroyed
    }
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFSTOPPED(status));
    // Each stops when it begins, and when it ends.
    for (int stop = 0; stop < 2 * call - 1; ++stop) {
      ptrace(PTRACE_SYSCALL, child, nullptr, nullptr);
      EXPECT_EQ(waitpid(child, &status, 0), child);
      if (WIFEXITED(status)) {
        EXPECT_EQ(WEXITSTATUS(status), 0);
        return false;
      }
    }
    kill(child, SIGKILL);
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFSIGNALED(status));
    return true;
  }
};

class KilledCommitTest : public testing::Test {
 protected:
  using Contents = std::map<std::string, std::string>;

  KilledCommitTest() {
    place_.emplace();
    PutEarlier();
    earlier_ = Images();
    Commit(Written(path()));
    new_ = Images();
  }

  // A new place, with an earlier dump in it.
  void Start() {
    place_.emplace();
    PutEarlier();
  }
  std::string path() const { return place_->path(); }

  // All but what is hidden.
  Contents Images() const {
    Contents contents;
    for (std::filesystem::recursive_directory_iterator at(path()), end; at != end; ++at) {
      const std::string name = std::filesystem::relative(at->path(), path());
      if (name.starts_with(".dumpctl")) {
        at.disable_recursion_pending();
      } else if (at->is_regular_file()) {
        contents[name] = place_->Contents(name);
      }
    }
    return contents;
  }

  void KillInCommit(int call) {
    killed_ = KilledChild::Run(call, [this] {
      ImageDirectory directory = Written(path());
      KilledChild::Begin();
      Commit(std::move(directory), /*ends=*/false);
    });
  }
  bool KillInOpen(int call) const {
    return KilledChild::Run(call, [this] {
      KilledChild::Begin();
      if (!ImageDirectory::Open(path()).ok()) _exit(1);
    });
  }
  bool HasInventory() const { return std::filesystem::exists(place_->Path("inventory.img")); }
  void ExpectOneWholeDump(const std::string& when) const {
    const Contents images = Images();
    EXPECT_TRUE(images == earlier_ || images == new_)
        << when << ": " << testing::PrintToString(images);
  }

  std::optional<TemporaryDirectory> place_;
  Contents earlier_;
  Contents new_;
  bool killed_ = false;

 private:
  void PutEarlier() const {
    std::filesystem::create_directory(place_->Path("parent"));
    for (const char* name : {"inventory.img", "pstree.img", "core-1.img", "parent/pages-1.img"}) {
      place_->Write(name, "earlier");
    }
    place_->Write("dump.log", "log");
  }
  static ImageDirectory Written(const std::string& path) {
    auto directory = ImageDirectory::Open(path);
    EXPECT_TRUE(directory.ok()) << directory.status();
    EXPECT_TRUE(directory->Write(ImageWriter(ImageKind::kPstree)).ok());
    EXPECT_TRUE(directory->Write(ImageWriter(ImageKind::kFiles)).ok());
    EXPECT_TRUE(directory->CreateInParent("pages-2.img").ok());
    EXPECT_TRUE(directory->Write(ImageWriter(ImageKind::kInventory)).ok());
    return *std::move(directory);
  }
  static void Commit(ImageDirectory directory, bool ends = true) {
    const absl::Status committed = directory.Commit(/*sync=*/false);
    EXPECT_TRUE(committed.ok()) << committed;
    if (!ends) _exit(committed.ok() ? 0 : 1);
  }
};

TEST_F(KilledCommitTest, TheNextDumpFindsOneWholeDump) {
  std::set<Contents> found;
  int torn = 0;
  int call = 0;
  do {
    Start();
    KillInCommit(++call);
    const std::string when = "killed at call " + std::to_string(call);
    if (HasInventory()) ExpectOneWholeDump(when);
    torn += HasInventory() ? 0 : 1;
    EXPECT_TRUE(ImageDirectory::Open(path()).ok());
    ExpectOneWholeDump(when + ", and then");
    EXPECT_FALSE(std::filesystem::exists(place_->Path(".dumpctl-staging"))) << when;
    found.insert(Images());
  } while (killed_);
  EXPECT_EQ(found, (std::set<Contents>{earlier_, new_}));
  EXPECT_GT(torn, 5);
}

TEST_F(KilledCommitTest, SoDoesTheOneAfterThatWhichIsKilledThere) {
  int torn = 0;
  for (int call = 1; call == 1 || killed_; call += 3) {
    bool again = true;
    for (int opening = 1; again; opening += 3) {
      Start();
      KillInCommit(call);
      if (HasInventory()) break;
      ++torn;
      again = KillInOpen(opening);
      const std::string when =
          "killed at call " + std::to_string(call) + " and " + std::to_string(opening);
      if (HasInventory()) ExpectOneWholeDump(when);
      EXPECT_TRUE(ImageDirectory::Open(path()).ok());
      ExpectOneWholeDump(when + ", and then");
    }
  }
  EXPECT_GT(torn, 5);
}

// It is removed piece by piece.
TEST_F(KilledCommitTest, AnEarlierDumpThatWasReplacedDoesNotComeBackInPieces) {
  int call = 0;
  int replaced = 0;
  do {
    Start();
    KillInCommit(++call);
    if (!HasInventory() || Images() != new_) continue;
    ++replaced;
    std::filesystem::remove(place_->Path("inventory.img"));
    EXPECT_TRUE(ImageDirectory::Open(path()).ok());
    if (HasInventory()) {
      EXPECT_EQ(Images(), earlier_) << call;
    }
  } while (killed_);
  EXPECT_GT(replaced, 5);
}

// Killed where the earlier dump's have all gone, and none of the new ones is there.
TEST_F(KilledCommitTest, WhatIsInTheWayIsNamedAndNothingIsLost) {
  int call = 0;
  do {
    Start();
    KillInCommit(++call);
    ASSERT_TRUE(killed_);
  } while (Images().size() > 1);
  place_->Write("core-1.img", "somebody's");
  const absl::Status opened = ImageDirectory::Open(path()).status();
  EXPECT_EQ(FailureOf(opened), Failure::kImagesDir);
  EXPECT_THAT(std::string(opened.message()), HasSubstr("cannot be put back for core-1.img"));
  EXPECT_EQ(place_->Contents("core-1.img"), "somebody's");
  std::filesystem::remove(place_->Path("core-1.img"));
  EXPECT_TRUE(ImageDirectory::Open(path()).ok());
  EXPECT_EQ(Images(), earlier_);
}

TEST_F(KilledCommitTest, AParentThatIsNoneOfADumpStays) {
  Start();
  std::filesystem::create_directories(place_->Path(".dumpctl-staging/.earlier-whole"));
  std::filesystem::rename(place_->Path("inventory.img"),
                          place_->Path(".dumpctl-staging/.earlier-whole/inventory.img"));
  EXPECT_TRUE(ImageDirectory::Open(path()).ok());
  EXPECT_EQ(place_->Contents("parent/pages-1.img"), "earlier");
  EXPECT_EQ(place_->Contents("inventory.img"), "earlier");
  EXPECT_EQ(place_->Contents("core-1.img"), "");
}

TEST_F(KilledCommitTest, NobodyElsesFilesAreMovedByAHiddenDirectory) {
  Start();
  std::filesystem::remove(place_->Path("inventory.img"));
  const std::string aside = place_->Path(".dumpctl-staging/.earlier-whole");
  std::filesystem::create_directories(aside);
  if (chown(aside.c_str(), 65534, 65534) < 0) GTEST_SKIP() << "files cannot be given away";
  const absl::Status opened = ImageDirectory::Open(path()).status();
  EXPECT_EQ(FailureOf(opened), Failure::kImagesDir);
  EXPECT_THAT(std::string(opened.message()), HasSubstr("another user's"));
  EXPECT_EQ(place_->Contents("core-1.img"), "earlier");
}

}  // namespace
}  // namespace dumpctl
