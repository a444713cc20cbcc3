#include "dump/fd/watched_files.h"

#include <fcntl.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "dump/fd/inotify_file.h"
#include "dumpctl/unique_fd.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proc/proc_fs.h"
#include "test/temporary_directory.h"

namespace dumpctl {
namespace {

using testing::HasSubstr;

class WatchedFilesTest : public testing::Test {
 protected:
  void SetUp() override {
    watches_.Reset(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    ASSERT_TRUE(watches_);
  }

  std::string Make(const std::string& name) { return place_.Write(name, name); }

  void Watch(const std::string& path, uint32_t mask) {
    ASSERT_GT(inotify_add_watch(watches_.get(), path.c_str(), mask), 0) << path;
  }

  std::string InfoText() {
    const auto self = ProcDir::OpenTask(getpid());
    return self->Read(absl::StrCat("fdinfo/", watches_.get())).value();
  }

  // The path of the one that was added last, or why there is none.
  std::string Find() {
    const auto watches = ParseInotifyInfo(InfoText());
    if (!watches.ok()) return watches.status().ToString();
    auto found = WatchedFiles().Find(watches->front().file);
    if (!found.ok()) return found.status().ToString();
    if (const auto* why_not = std::get_if<WhyNot>(&*found)) return std::string(why_not->why);
    return std::get<WatchedFiles::Name>(*found).path;
  }

  const TemporaryDirectory place_;
  const std::string dir_ = place_.path();
  UniqueFd watches_;
};

TEST_F(WatchedFilesTest, FindsFilesByTheirPresentNames) {
  const std::string old_name = Make("old");
  Watch(old_name, IN_MOVE_SELF);
  EXPECT_EQ(Find(), old_name);
  std::filesystem::rename(old_name, dir_ + "/new");
  EXPECT_EQ(Find(), dir_ + "/new");
}

TEST_F(WatchedFilesTest, IsNotNoticed) {
  Make("file");
  Watch(dir_, IN_ALL_EVENTS);
  Watch(dir_ + "/file", IN_ALL_EVENTS);
  EXPECT_EQ(Find(), dir_ + "/file");
  char event[512];
  EXPECT_LT(read(watches_.get(), event, sizeof event), 0);
}

TEST_F(WatchedFilesTest, WhatHasNoNameOrIsAnother) {
  const std::string file = Make("file");
  const UniqueFd kept(open(file.c_str(), O_RDONLY | O_CLOEXEC));
  Watch(file, IN_MODIFY);
  ASSERT_EQ(unlink(file.c_str()), 0);
  EXPECT_THAT(Find(), HasSubstr("deleted"));
  ASSERT_EQ(symlink("/etc", (dir_ + "/link").c_str()), 0);
  Watch(dir_ + "/link", IN_ATTRIB | IN_DONT_FOLLOW);
  EXPECT_THAT(Find(), HasSubstr("symbolic link"));
  Watch("/proc/self/status", IN_OPEN);
  EXPECT_THAT(Find(), HasSubstr("does not tell the name"));
}

TEST_F(WatchedFilesTest, MountPointsOfAnyFileSystem) {
  Watch("/proc", IN_CREATE);
  EXPECT_EQ(Find(), "/proc");
}

TEST_F(WatchedFilesTest, AnInotifysEntry) {
  const std::string file = Make("file");
  Watch(file, IN_MODIFY | IN_OPEN);
  WatchedFiles files;
  ASSERT_EQ(WhyNotInotify(InfoText(), files).value(), std::nullopt);
  const auto entry = InotifyEntry(InfoText(), files);
  ASSERT_TRUE(entry.ok()) << entry.status();
  ASSERT_EQ(entry->wd_size(), 1);
  EXPECT_EQ(entry->wd(0).wd(), 1u);
  EXPECT_EQ(entry->wd(0).mask(), uint32_t{IN_MODIFY | IN_OPEN});
  EXPECT_EQ(entry->wd(0).f_handle().path(), file);
  EXPECT_EQ(entry->wd(0).f_handle().handle_size(), 16);
  Watch(file, IN_MODIFY | IN_ONESHOT);
  const auto why_not = WhyNotInotify(InfoText(), files);
  ASSERT_TRUE(why_not.ok() && *why_not) << why_not.status();
  EXPECT_THAT(std::string((*why_not)->why), HasSubstr("IN_ONESHOT"));
}

}  // namespace
}  // namespace dumpctl
