#include "proc/watch_fdinfo_parser.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "test/proc/event_fdinfo.h"
#include "test/proc/malformed.h"

namespace dumpctl {
namespace {

TEST(InotifyInfoTest, EveryWatch) {
  const auto watches = ParseInotifyInfo(
      With("inotify wd:1a ino:aae014 sdev:fe00000 mask:80000fff ignored_mask:0 fhandle-bytes:8 "
           "fhandle-type:1 f_handle:14e0aa00c6fb3615\n"
           "inotify wd:1 ino:1 sdev:15 mask:100 ignored_mask:0 \n"));
  ASSERT_TRUE(watches.ok()) << watches.status();
  const FileHandle handle{1, std::string("\x14\xe0\xaa\x00\xc6\xfb\x36\x15", 8)};
  EXPECT_THAT(*watches,
              testing::ElementsAre(InotifyWatch{26, {0xaae014, 0xfe00000, handle}, 0x80000fff},
                                   InotifyWatch{1, {1, 0x15, {}}, 0x100}));
}

TEST(InotifyInfoTest, NothingWatched) { EXPECT_TRUE(ParseInotifyInfo(With("")).value().empty()); }

TEST(InotifyInfoTest, Malformed) {
  const auto refuses = [](const std::string& line, const std::string& field) {
    EXPECT_THAT(ParseInotifyInfo(With(line + "\n")).status(), Refuses(BadText{"", field, line}));
  };
  refuses("inotify wd:x ino:1 sdev:1 mask:1 ignored_mask:0", "wd");
  refuses("inotify ino:1 sdev:1 mask:1 ignored_mask:0", "wd");
  refuses("inotify wd:1 ino:11111111111111111 sdev:1 mask:1 ignored_mask:0", "ino");
  refuses("inotify wd:1 ino:1 sdev:1 mask:-1 ignored_mask:0", "mask");
  const std::string start = "inotify wd:1 ino:1 sdev:1 mask:1 ignored_mask:0 ";
  refuses(start + "fhandle-bytes:2 fhandle-type:1 f_handle:1ac5030000000000", "f_handle");
  refuses(start + "fhandle-bytes:1 fhandle-type:1 f_handle:1x", "f_handle");
  refuses(start + "fhandle-bytes:81 fhandle-type:1 f_handle:" + std::string(0x102, '0'),
          "f_handle");
  refuses(start + "fhandle-type:1 f_handle:00", "fhandle-bytes");
}

TEST(FanotifyInfoTest, EveryKindOfMark) {
  const auto info = ParseFanotifyInfo(
      With("fanotify flags:e03 event-flags:8000\n"
           "fanotify ino:ab0089 sdev:fe00000 mflags:40 mask:8000002 ignored_mask:8 "
           "fhandle-bytes:8 fhandle-type:1 f_handle:8900ab00d8bbcd5b\n"
           "fanotify mnt_id:3c mflags:0 mask:20 ignored_mask:0\n"
           "fanotify sdev:1a mflags:0 mask:40000020 ignored_mask:0\n"));
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->flags, 0xe03u);
  EXPECT_EQ(info->event_flags, 0x8000u);
  using Kind = FanotifyMark::Kind;
  const FileHandle handle{1, std::string("\x89\x00\xab\x00\xd8\xbb\xcd\x5b", 8)};
  EXPECT_THAT(info->marks,
              testing::ElementsAre(
                  FanotifyMark{Kind::kInode, {0xab0089, 0xfe00000, handle}, 0, 0x40, 0x8000002, 8},
                  FanotifyMark{Kind::kMount, {}, 60, 0, 0x20, 0},
                  FanotifyMark{Kind::kFileSystem, {0, 0x1a, {}}, 0, 0, 0x40000020, 0}));
}

TEST(FanotifyInfoTest, Malformed) {
  EXPECT_THAT(ParseFanotifyInfo("pos:\t0\n").status(),
              Refuses(BadText{"", "flags", "pos:\\t0\\n"}));
  const auto refuses = [](const std::string& line, const std::string& field) {
    EXPECT_THAT(
        ParseFanotifyInfo(absl::StrCat("fanotify flags:0 event-flags:0\n", line, "\n")).status(),
        Refuses(BadText{"", field, line}));
  };
  refuses("fanotify mnt_ns:1 mflags:0 mask:20 ignored_mask:0", "fanotify");
  refuses("fanotify mnt_id:x mflags:0 mask:20 ignored_mask:0", "mnt_id");
  refuses("fanotify sdev:1a mask:20 ignored_mask:0", "mflags");
}

}  // namespace
}  // namespace dumpctl
