#include "proc/open_file_row.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace dumpctl {
namespace {

constexpr absl::Duration kTaiOffset = absl::Seconds(37);

KernelFile KernelFileOf(uint64_t magic, std::string_view link) {
  KernelFile file = {};
  file.number = 70;
  file.pos = 5;
  file.inode = 4711;
  file.magic = magic;
  file.flags = O_RDWR | O_APPEND;
  file.mount_id = 14;
  file.link_size = static_cast<int64_t>(link.size()) + 1;
  std::memcpy(file.link, link.data(), link.size());
  return file;
}

// What has no path.
KernelFile NamedFileOf(uint64_t magic, std::string_view name) {
  KernelFile file = KernelFileOf(magic, "");
  file.link_size = 0;
  std::memcpy(file.name, name.data(), name.size());
  return file;
}

const FdInfo kHead = {
    .pos = 5, .flags = O_RDWR | O_APPEND, .mount_id = 14, .ino = 4711, .locks = {}};

TEST(OpenFileRowTest, AHeadIsThatOfFdinfo) {
  const OpenFileRow row = RowOf(KernelFileOf(EXT4_SUPER_MAGIC, "/etc/passwd"), kTaiOffset);
  EXPECT_EQ(row.number, 70);
  EXPECT_EQ(row.info, kHead);
  EXPECT_EQ(row.more, "");
  EXPECT_EQ(row.link, "/etc/passwd");
  EXPECT_FALSE(row.may_be_owned);
}

TEST(OpenFileRowTest, CloseOnExecIsTheDescriptorsOwn) {
  KernelFile file = KernelFileOf(EXT4_SUPER_MAGIC, "/etc/passwd");
  file.flags |= O_CLOEXEC;
  EXPECT_EQ(RowOf(file, kTaiOffset).info, kHead);
  file.close_on_exec = uint64_t{1} << (70 - 64);
  EXPECT_EQ(RowOf(file, kTaiOffset).info->flags, uint32_t{O_RDWR | O_APPEND | O_CLOEXEC});
}

TEST(OpenFileRowTest, WhatHasLocksOrAnythingElseToSayHasNoHead) {
  KernelFile file = KernelFileOf(EXT4_SUPER_MAGIC, "/etc/passwd");
  file.locks = 0xffff888000000000;
  EXPECT_FALSE(RowOf(file, kTaiOffset).info);
  file = KernelFileOf(EXT4_SUPER_MAGIC, "/etc/passwd");
  file.show_fdinfo = 0xffffffff81000000;
  EXPECT_FALSE(RowOf(file, kTaiOffset).info);
  file = NamedFileOf(ANON_INODE_FS_MAGIC, "[eventpoll]");
  file.show_fdinfo = 0xffffffff81000000;
  EXPECT_FALSE(RowOf(file, kTaiOffset).info);
}

TEST(OpenFileRowTest, ALinkThatDidNotFitIsNone) {
  KernelFile file = KernelFileOf(EXT4_SUPER_MAGIC, "part of it");
  file.link_size = -ENAMETOOLONG;
  EXPECT_FALSE(RowOf(file, kTaiOffset).link);
}

TEST(OpenFileRowTest, ASocketsLinkSaysItsProtocol) {
  EXPECT_EQ(RowOf(NamedFileOf(SOCKFS_MAGIC, "UNIX-STREAM"), kTaiOffset).link,
            "socket:[4711] (UNIX-STREAM)");
  EXPECT_EQ(RowOf(NamedFileOf(SOCKFS_MAGIC, ""), kTaiOffset).link, "socket:[4711]");
  // It may go on.
  EXPECT_FALSE(RowOf(NamedFileOf(SOCKFS_MAGIC, std::string(31, 'x')), kTaiOffset).link);
}

TEST(OpenFileRowTest, WhatHasNoPathIsCalledByItsKind) {
  EXPECT_EQ(RowOf(NamedFileOf(PIPEFS_MAGIC, ""), kTaiOffset).link, "pipe:[4711]");
  EXPECT_EQ(RowOf(NamedFileOf(ANON_INODE_FS_MAGIC, "inotify"), kTaiOffset).link,
            "anon_inode:inotify");
}

TEST(OpenFileRowTest, WhatIsCalledAlmostLikeAnEventfdHasNoCount) {
  for (const bool is_one : {false, true}) {
    KernelFile file = NamedFileOf(ANON_INODE_FS_MAGIC, is_one ? "[eventfd]" : "[eventpoll]");
    KernelFile later = file;
    later.event_count = 5;
    EXPECT_EQ(LastingPart(file) == LastingPart(later), !is_one);
    EXPECT_EQ(later.event_count, is_one ? 5u : 0u);
  }
}

TEST(OpenFileRowTest, ASocketsCountsDoNotMatter) {
  KernelFile file = NamedFileOf(SOCKFS_MAGIC, "UNIX-STREAM");
  file.show_fdinfo = 0xffffffff81000000;
  EXPECT_EQ(RowOf(file, kTaiOffset).info, kHead);
}

TEST(OpenFileRowTest, OnlyWhatHasNoPathHasAStat) {
  EXPECT_FALSE(RowOf(KernelFileOf(EXT4_SUPER_MAGIC, "/etc/passwd"), kTaiOffset).stat);
  EXPECT_FALSE(RowOf(KernelFileOf(NSFS_MAGIC, "net:[4711]"), kTaiOffset).stat);
  KernelFile file = NamedFileOf(PIPEFS_MAGIC, "");
  file.device = (8U << 20) | 300;
  file.mode = S_IFIFO | 0600;
  file.links = 1;
  file.uid = 1000;
  file.gid = 100;
  file.block_bits = 12;
  const OpenFileRow row = RowOf(file, kTaiOffset);
  ASSERT_TRUE(row.stat);
  EXPECT_EQ(row.stat->st_dev, makedev(8, 300));
  EXPECT_EQ(row.stat->st_ino, 4711u);
  EXPECT_EQ(row.stat->st_mode, static_cast<mode_t>(S_IFIFO | 0600));
  EXPECT_EQ(row.stat->st_nlink, 1u);
  EXPECT_EQ(row.stat->st_uid, 1000u);
  EXPECT_EQ(row.stat->st_gid, 100u);
  EXPECT_EQ(row.stat->st_blksize, 4096);
}

TEST(OpenFileRowTest, AKernelObjectHasNoTypeOfFile) {
  KernelFile file = NamedFileOf(ANON_INODE_FS_MAGIC, "[eventfd]");
  file.mode = S_IFREG | 0600;  // as Linux 6.16 keeps it
  EXPECT_EQ(RowOf(file, kTaiOffset).stat->st_mode, 0600u);
  file.mode = 0600;
  EXPECT_EQ(RowOf(file, kTaiOffset).stat->st_mode, 0600u);
}

TEST(OpenFileRowTest, AnEventfdSaysItsCount) {
  KernelFile file = NamedFileOf(ANON_INODE_FS_MAGIC, "[eventfd]");
  file.show_fdinfo = 0xffffffff81000000;
  file.event_count = 0xabc;
  file.event_id = 7;
  file.event_flags = 1;
  EXPECT_EQ(RowOf(file, kTaiOffset).info, kHead);
  EXPECT_EQ(RowOf(file, kTaiOffset).more,
            "eventfd-count:              abc\neventfd-id: 7\neventfd-semaphore: 1\n");
  // Its likes by O_PATH have no operations.
  file.show_fdinfo = 0;
  EXPECT_EQ(RowOf(file, kTaiOffset).more, "");
  EXPECT_EQ(RowOf(file, kTaiOffset).info, kHead);
}

struct TimerCase {
  const char* name;
  int clock;
  int flags;
  int64_t expires;
  const char* value;  // none: procfs is to be asked
};

class OpenFileRowTimerTest : public testing::TestWithParam<TimerCase> {};

TEST_P(OpenFileRowTimerTest, SaysWhatIsLeft) {
  KernelFile file = NamedFileOf(ANON_INODE_FS_MAGIC, "[timerfd]");
  file.show_fdinfo = 0xffffffff81000000;
  file.monotonic = 10'000'000'000;
  file.boottime = 20'000'000'000;
  file.tai = 67'000'000'000;  // 30 s of CLOCK_REALTIME
  file.timer_clock = GetParam().clock;
  file.timer_expires = GetParam().expires;
  file.timer_interval = 1'000'000'001;
  file.timer_flags = static_cast<uint16_t>(GetParam().flags);
  const OpenFileRow row = RowOf(file, kTaiOffset);
  if (GetParam().value == nullptr) {
    EXPECT_FALSE(row.info);
    return;
  }
  EXPECT_EQ(row.info, kHead);
  EXPECT_EQ(row.more, "clockid: " + std::to_string(GetParam().clock) +
                          "\nticks: 0\nsettime flags: 0" + std::to_string(GetParam().flags) +
                          "\nit_value: " + GetParam().value + "\nit_interval: (1, 1)\n");
}

INSTANTIATE_TEST_SUITE_P(
    Clocks, OpenFileRowTimerTest,
    testing::Values(TimerCase{"Monotonic", CLOCK_MONOTONIC, 0, 12'000'000'005, "(2, 5)"},
                    TimerCase{"Boottime", CLOCK_BOOTTIME, 1, 22'500'000'000, "(2, 500000000)"},
                    TimerCase{"Realtime", CLOCK_REALTIME, 3, 30'000'000'001, "(0, 1)"},
                    // It is as if it were of CLOCK_MONOTONIC then.
                    TimerCase{"RealtimeFromNow", CLOCK_REALTIME, 0, 11'000'000'000, "(1, 0)"},
                    TimerCase{"NotArmed", CLOCK_MONOTONIC, 0, 0, "(0, 0)"},
                    TimerCase{"Expired", CLOCK_MONOTONIC, 0, 10'000'000'000, nullptr},
                    TimerCase{"Alarm", CLOCK_BOOTTIME_ALARM, 0, 30'000'000'000, nullptr}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace dumpctl
