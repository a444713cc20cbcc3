#include "proc/fdinfo_parser.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <ostream>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proc/proc_fs.h"
#include "test/proc/malformed.h"

namespace dumpctl {
namespace {

using ::testing::IsEmpty;

struct FdinfoCase {
  const char* name;
  const char* text;
  FdInfo info;
};
void PrintTo(const FdinfoCase& c, std::ostream* out) { *out << c.name; }

class FdInfoTest : public ::testing::TestWithParam<FdinfoCase> {};

TEST_P(FdInfoTest, TakesTheGenericHead) {
  const auto info = ParseFdInfo(GetParam().text);
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->pos, GetParam().info.pos);
  EXPECT_EQ(info->flags, GetParam().info.flags);
  EXPECT_EQ(info->mount_id, GetParam().info.mount_id);
  EXPECT_EQ(info->ino, GetParam().info.ino);
  EXPECT_EQ(info->locks, GetParam().info.locks);
}

const FdinfoCase kFdinfoTexts[] = {
    // Linux 6.18.
    {"a file with locks",
     "pos:\t3\nflags:\t02100002\nmnt_id:\t26\nino:\t10955043\n"
     "lock:\t1: FLOCK  ADVISORY  READ 6921 fe:00:10955043 0 EOF\n"
     "lock:\t2: POSIX  ADVISORY  WRITE 6921 fe:00:10955043 0 2\n",
     {.pos = 3,
      .flags = 02100002,
      .mount_id = 26,
      .ino = 10955043,
      .locks = {"1: FLOCK  ADVISORY  READ 6921 fe:00:10955043 0 EOF",
                "2: POSIX  ADVISORY  WRITE 6921 fe:00:10955043 0 2"}}},
    {"a pipe in packet mode",
     "pos:\t0\nflags:\t02040001\nmnt_id:\t16\nino:\t18056\n",
     {.flags = O_CLOEXEC | O_DIRECT | O_WRONLY, .mount_id = 16, .ino = 18056}},
    {"a file of unsigned offsets",
     "pos:\t-4096\nflags:\t02100000\nmnt_id:\t21\nino:\t21007\n",
     {.pos = 0xfffffffffffff000, .flags = 02100000, .mount_id = 21, .ino = 21007}},
    {"O_PATH",
     "pos:\t0\nflags:\t012000000\nmnt_id:\t26\nino:\t2\n",
     {.flags = O_PATH | O_CLOEXEC, .mount_id = 26, .ino = 2}},
    {"eventfd",
     "pos:\t0\nflags:\t02\nmnt_id:\t17\nino:\t1039\n"
     "eventfd-count:                7\neventfd-id: 1\neventfd-semaphore: 0\n",
     {.flags = 2, .mount_id = 17, .ino = 1039}},
    {"timerfd",
     "pos:\t0\nflags:\t02\nmnt_id:\t17\nino:\t1039\n"
     "clockid: 1\nticks: 0\nsettime flags: 00\nit_value: (0, 0)\nit_interval: (0, 0)\n",
     {.flags = 2, .mount_id = 17, .ino = 1039}},
    {"epoll",
     "pos:\t0\nflags:\t02000002\nmnt_id:\t17\nino:\t1039\n"
     "tfd:        4 events:       19 data:     7f8200000004  pos:0 ino:4688 sdev:f\n",
     {.flags = 02000002, .mount_id = 17, .ino = 1039}},
    {"inotify",
     "pos:\t0\nflags:\t00\nmnt_id:\t17\nino:\t1039\n"
     "inotify wd:1 ino:3c51a sdev:fe00000 mask:2 ignored_mask:0 fhandle-bytes:8 fhandle-type:1 "
     "f_handle:1ac5030000000000\n",
     {.mount_id = 17, .ino = 1039}},
    // But for the overflow, which this one did not have.
    {"io_uring",
     "pos:\t0\nflags:\t02000002\nmnt_id:\t17\nino:\t21005\n"
     "SqMask:\t0x7\nSqThread:\t-1\nUserFiles:\t0\nPollList:\nCqOverflowList:\n"
     "  user_data=1, res=0, flags=0\nNAPI:\tdisabled\n",
     {.flags = 02000002, .mount_id = 17, .ino = 21005}},
    {"tun without a device",
     "pos:\t0\nflags:\t02100002\nmnt_id:\t23\nino:\t104\niff:\t\n",
     {.flags = 02100002, .mount_id = 23, .ino = 104}},
    // The forms of Linux 5.10 and 4.19: no ino.
    {"5.10 pidfd",
     "pos:\t0\nflags:\t02000002\nmnt_id:\t14\nPid:\t7835\nNSpid:\t7835\n",
     {.flags = 02000002, .mount_id = 14}},
    {"5.10 io_uring with a registered personality",
     "pos:\t0\nflags:\t02000002\nmnt_id:\t14\nUserFiles:\t0\nPersonalities:\n"
     "    1\n\tUid:\t\t0\t\t0\t\t0\t\t0\n\tCapEff:\t0000003fffffffff\n",
     {.flags = 02000002, .mount_id = 14}},
    {"4.19 file",
     "pos:\t1024\nflags:\t0100002\nmnt_id:\t24\nlock:\t1: POSIX  ADVISORY  READ 359 08:01:13 0 9\n",
     {.pos = 1024,
      .flags = 0100002,
      .mount_id = 24,
      .locks = {"1: POSIX  ADVISORY  READ 359 08:01:13 0 9"}}},
    // A descriptor type's own lines never stand in for the head's.
    {"a later ino",
     "pos:\t1\nflags:\t02\nmnt_id:\t14\nkind:\t1\nino:\t5\npos:\t9\n",
     {.pos = 1, .flags = 2, .mount_id = 14}},
};
INSTANTIATE_TEST_SUITE_P(Kernels, FdInfoTest, ::testing::ValuesIn(kFdinfoTexts));

class BadFdInfoTest : public ::testing::TestWithParam<BadText> {};

TEST_P(BadFdInfoTest, QuotesTheLineAndNamesTheField) {
  EXPECT_THAT(ParseFdInfo(GetParam().text).status(), Refuses(GetParam()));
}

const BadText kBadFdinfoTexts[] = {
    {"", "pos", ""},
    {"flags:\t02\n", "pos", "flags:\\t02"},
    {"pos:\tx\n", "pos", "pos:\\tx"},
    {"pos:\t99999999999999999999\n", "pos", "pos:\\t99999999999999999999"},
    {"position:\t0\n", "pos", "position:\\t0"},
    {"pos:\t0\n", "flags", ""},
    {"pos:\t0\nflags:\t08\n", "flags", "flags:\\t08"},
    {"pos:\t0\nflags:\t-2\n", "flags", "flags:\\t-2"},
    {"pos:\t0\nflags:\t02\n", "mnt_id", ""},
    {"pos:\t0\nflags:\t02\nmnt_id:\t\n", "mnt_id", "mnt_id:\\t"},
    {"pos:\t0\nflags:\t02\nmnt_id:\t1\nino:\t-1\n", "ino", "ino:\\t-1"},
    {"pos:\t0\nflags:\t02\nmnt_id:\t1\nino:\t1\nlock:\t\n", "lock", "lock:\\t"},
    {"pos:\t0\nflags:\t02\nmnt_id:\t1\nsomething\n", "key", "something"},
    {"pos:\t0\nflags:\t02\nmnt_id:\t1\n: 5\n", "key", ": 5"},
    {"pos:\t0\nflags:\t02\nmnt_id:\t1\n\nkind: 1\n", "key", ""},
};
INSTANTIATE_TEST_SUITE_P(Fields, BadFdInfoTest, ::testing::ValuesIn(kBadFdinfoTexts));

TEST(FdInfoLiveTest, AgreesWithFcntlAndFstat) {
  const UniqueFd file(open("/proc/self/exe", O_RDONLY | O_CLOEXEC | O_NOATIME));
  ASSERT_TRUE(file.valid());
  ASSERT_EQ(lseek(file.get(), 1 << 20, SEEK_SET), 1 << 20);
  const auto task = ProcDir::OpenTask(getpid());
  ASSERT_TRUE(task.ok()) << task.status();
  const auto text = task->Read(absl::StrCat("fdinfo/", file.get()));
  ASSERT_TRUE(text.ok()) << text.status();
  const auto info = ParseFdInfo(*text);
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->pos, 1u << 20);
  EXPECT_EQ(info->flags, static_cast<uint32_t>(fcntl(file.get(), F_GETFL) | O_CLOEXEC));
  EXPECT_THAT(info->locks, IsEmpty());
  struct stat status;
  ASSERT_EQ(fstat(file.get(), &status), 0);
  if (info->ino) {
    EXPECT_EQ(*info->ino, status.st_ino);
  }
}

}  // namespace
}  // namespace dumpctl
