#include "dump/fd/file_name.h"

#include <fcntl.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "dump/fd/names_seen.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "test/temporary_directory.h"

namespace dumpctl {
namespace {

using testing::HasSubstr;

class FileNameTest : public testing::Test {
 protected:
  void SetUp() override {
    std::ofstream(dir_ + "/file") << "text";
    fd_ = open((dir_ + "/file").c_str(), O_RDONLY);
    Restat();
  }
  void TearDown() override { close(fd_); }

  void Restat() { ASSERT_EQ(fstat(fd_, &stat_), 0); }
  void Move(const char* to) { ASSERT_EQ(rename((dir_ + "/file").c_str(), (dir_ + to).c_str()), 0); }
  // Empty when it can be dumped.
  std::string WhyNot(const FileName& name, const FileRules& rules = {}) {
    const auto why_not = WhyNotNamed(stat_, name, 0, rules);
    if (!why_not) return "";
    EXPECT_NE(why_not->remedy, "");
    return why_not->why;
  }

  const TemporaryDirectory place_;
  const std::string dir_ = place_.path();
  int fd_ = -1;
  struct stat stat_ = {};
};

TEST_F(FileNameTest, AFileUnderItsOwnName) {
  const FileName name = ReadName(stat_, dir_ + "/file", {});
  EXPECT_EQ(name.path, dir_ + "/file");
  EXPECT_FALSE(name.deleted);
  EXPECT_EQ(WhyNot(name), "");
}

TEST_F(FileNameTest, ALivingFileThatIsCalledDeleted) {
  Move("/file (deleted)");
  const FileName name = ReadName(stat_, dir_ + "/file (deleted)", {});
  EXPECT_EQ(name.path, dir_ + "/file (deleted)");
  EXPECT_FALSE(name.deleted);
  EXPECT_EQ(WhyNot(name), "");
}

TEST_F(FileNameTest, ADeletedFileIsAGhostOfLimitedSize) {
  unlink((dir_ + "/file").c_str());
  Restat();
  const FileName name = ReadName(stat_, dir_ + "/file (deleted)", {});
  EXPECT_EQ(name.path, dir_ + "/file");
  EXPECT_TRUE(name.ghost(stat_));
  EXPECT_EQ(WhyNot(name, {.ghost_limit = 4}), "");
  EXPECT_THAT(WhyNot(name, {.ghost_limit = 3}), HasSubstr("of its 4 bytes --ghost-limit allows 3"));
  EXPECT_THAT(WhyNot(name, {.kernel_tmpfs = stat_.st_dev}), HasSubstr("never had a name"));
  EXPECT_THAT(WhyNot({dir_ + "/" + std::string(245, 'n'), true, {}}), HasSubstr("of that length"));
  EXPECT_EQ(WhyNot({dir_ + "/gone/file", true, {}}), "") << "a restore makes the directory";
  std::ofstream(dir_ + "/moved") << "no directory";
  for (const char* path : {"/moved/file", "/moved/below/file"}) {
    EXPECT_THAT(WhyNot({dir_ + path, true, {}}), HasSubstr("where its directory was"));
  }
}

TEST_F(FileNameTest, WhatIsExternalNeedsNoName) {
  Move("/moved");
  const auto file = ParseExternalFile("file[2a:11]");
  ASSERT_TRUE(file.has_value());
  EXPECT_EQ(file->mount_id, 42u);
  EXPECT_EQ(file->inode, 17u);
  EXPECT_EQ(file->Name(), "file[2a:11]");
  FileRules rules;
  rules.external = {{42, stat_.st_ino}};
  EXPECT_FALSE(WhyNotNamed(stat_, {dir_ + "/file"}, 42, rules).has_value());
  EXPECT_TRUE(WhyNotNamed(stat_, {dir_ + "/file"}, 43, rules).has_value());
  for (const char* bad :
       {"", "file[]", "file[2a]", "file[:1]", "file[1:]", "file[1:2", "dev[1:2]"}) {
    EXPECT_FALSE(ParseExternalFile(bad).has_value()) << bad;
  }
}

TEST_F(FileNameTest, HolesTakeNoRoom) {
  struct stat stat = {};
  stat.st_size = 1 << 30;
  stat.st_blocks = 8;
  EXPECT_EQ(DataBytes(stat), 4096u);
}

TEST_F(FileNameTest, ADeletedNameOfAFileWithOthers) {
  ASSERT_EQ(link((dir_ + "/file").c_str(), (dir_ + "/moved").c_str()), 0);
  unlink((dir_ + "/file").c_str());
  Restat();
  const FileName name = ReadName(stat_, dir_ + "/file (deleted)", {});
  EXPECT_TRUE(name.deleted);
  EXPECT_FALSE(name.ghost(stat_));
  EXPECT_THAT(WhyNot(name), HasSubstr("others"));
  EXPECT_EQ(WhyNot(name, {.link_remap = true}), "");
  EXPECT_THAT(WhyNot(name, {.link_remap = true, .leave_running = true}), HasSubstr("runs on"));
  const FileName elsewhere = {dir_ + "/gone/file", true, {}};
  EXPECT_THAT(WhyNot(elsewhere, {.link_remap = true}), HasSubstr("no directory"));
}

TEST_F(FileNameTest, ASemaphoreIsFoundUnderTheNameThatItGot) {
  const std::string first = absl::StrCat("/dev/shm/sem.file_name_test-first-", getpid());
  const std::string named = absl::StrCat("/dev/shm/sem.file_name_test-named-", getpid());
  close(open(first.c_str(), O_RDWR | O_CREAT, 0600));
  ASSERT_EQ(link(first.c_str(), named.c_str()), 0);
  ASSERT_EQ(unlink(first.c_str()), 0);
  struct stat stat = {};
  ASSERT_EQ(lstat(named.c_str(), &stat), 0);
  const FileName name = ReadMappedName(stat, first, true, {});
  EXPECT_EQ(name.path, named);
  EXPECT_FALSE(name.deleted);
  EXPECT_EQ(ReadName(stat, first + " (deleted)", {}).path, named);
  EXPECT_FALSE(WhyNotNamed(stat, name, 0, FileRules()));
  // Under another kind of name it is looked for no more.
  const std::string other = absl::StrCat("/dev/shm/file_name_test-", getpid());
  ASSERT_EQ(rename(named.c_str(), other.c_str()), 0);
  EXPECT_TRUE(ReadMappedName(stat, first, true, {}).linked(stat));
  unlink(other.c_str());
}

TEST_F(FileNameTest, AFileThatWasMoved) {
  Move("/moved");
  EXPECT_THAT(WhyNot({dir_ + "/file"}), HasSubstr("another file or to none"));
}

TEST_F(FileNameTest, AnotherFileUnderTheSameName) {
  Move("/moved");
  std::ofstream(dir_ + "/file") << "other";
  EXPECT_THAT(WhyNot({dir_ + "/file"}), HasSubstr("another file or to none"));
}

TEST_F(FileNameTest, WhatWasSeenOnceIsToldAgain) {
  const FileRules rules{.seen = std::make_shared<NamesSeen>()};
  const std::string link = dir_ + "/file (deleted)";
  const FileName gone = ReadName(stat_, link, rules);
  EXPECT_TRUE(gone.deleted);
  EXPECT_EQ(WhyNot({dir_ + "/file"}, rules), "");
  Move("/file (deleted)");
  EXPECT_TRUE(ReadName(stat_, link, rules).deleted);
  EXPECT_FALSE(ReadName(stat_, link, {}).deleted);
  EXPECT_EQ(WhyNot({dir_ + "/file"}, rules), "");
  EXPECT_NE(WhyNot({dir_ + "/file"}), "");
  // Another name, and another file under the same one, have not been seen.
  EXPECT_NE(WhyNot({dir_ + "/other"}, rules), "");
  ++stat_.st_ino;
  EXPECT_NE(WhyNot({dir_ + "/file"}, rules), "");
}

TEST_F(FileNameTest, AnotherMountShowsInWhatWasSeen) {
  const FileRules rules{.seen = std::make_shared<NamesSeen>()};
  Move("/moved");
  const uint64_t another = uint64_t{1} << 40;
  EXPECT_THAT(WhyNotNamed(stat_, {dir_ + "/file"}, 0, rules)->why, HasSubstr("another file"));
  EXPECT_THAT(WhyNotNamed(stat_, {dir_ + "/file"}, another, rules)->why, HasSubstr("mount lies"));
  const FileRules external{.external = {{another, stat_.st_ino}}, .seen = rules.seen};
  EXPECT_FALSE(WhyNotNamed(stat_, {dir_ + "/file"}, another, external));
}

TEST_F(FileNameTest, ALinkThatLeadsThereIsNotTheFile) {
  Move("/moved");
  ASSERT_EQ(symlink("moved", (dir_ + "/file").c_str()), 0);
  EXPECT_THAT(WhyNot({dir_ + "/file"}), HasSubstr("another file or to none"));
}

TEST_F(FileNameTest, AnotherMountOverThePath) {
  Move("/moved");
  const uint64_t another = uint64_t{1} << 40;
  const auto why_not = WhyNotNamed(stat_, {dir_ + "/file"}, another, {});
  ASSERT_TRUE(why_not.has_value());
  EXPECT_THAT(why_not->why, HasSubstr("another mount lies over its path"));
}

}  // namespace
}  // namespace dumpctl
