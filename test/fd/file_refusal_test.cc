#include "dump/fd/file_refusal.h"

#include <fcntl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dumpctl {
namespace {

using testing::HasSubstr;

struct stat StatOf(mode_t mode, dev_t rdev = 0, nlink_t links = 1) {
  struct stat stat = {};
  stat.st_mode = mode;
  stat.st_rdev = rdev;
  stat.st_nlink = links;
  return stat;
}

struct Row {
  const char* link;
  struct stat stat;
  FileKind kind;
  const char* type;
  const char* why;  // null: it can be dumped
};

const Row kRows[] = {
    {"/etc/passwd", StatOf(S_IFREG), FileKind::kRegular, "regular file", nullptr},
    {"/etc", StatOf(S_IFDIR), FileKind::kDirectory, "directory", nullptr},
    {"/dev/null", StatOf(S_IFCHR, makedev(1, 3)), FileKind::kMemoryDevice, "memory device",
     nullptr},
    {"/dev/urandom", StatOf(S_IFCHR, makedev(1, 9)), FileKind::kMemoryDevice, "memory device",
     nullptr},
    {"pipe:[4711]", StatOf(S_IFIFO), FileKind::kPipe, "pipe", nullptr},
    {"/run/initctl", StatOf(S_IFIFO), FileKind::kFifo, "fifo", nullptr},
    {"/dev/mem", StatOf(S_IFCHR, makedev(1, 1)), FileKind::kOther, "character device", "driver"},
    {"/dev/fuse", StatOf(S_IFCHR, makedev(10, 229)), FileKind::kOther, "character device",
     "driver"},
    {"/dev/vda", StatOf(S_IFBLK, makedev(254, 0)), FileKind::kOther, "block device", "driver"},
    {"/dev/pts/3", StatOf(S_IFCHR, makedev(136, 3)), FileKind::kOther, "terminal", "terminals"},
    {"/dev/tty", StatOf(S_IFCHR, makedev(5, 0)), FileKind::kOther, "terminal", "terminals"},
    {"socket:[17]", StatOf(S_IFSOCK), FileKind::kOther, "socket", "sockets"},
    {"socket:[17] (TCP)", StatOf(S_IFSOCK), FileKind::kInetSocket, "socket", nullptr},
    {"socket:[17] (UDPLITEv6)", StatOf(S_IFSOCK), FileKind::kInetSocket, "socket", nullptr},
    {"socket:[17] (RAWv6)", StatOf(S_IFSOCK), FileKind::kInetSocket, "socket", nullptr},
    {"socket:[17] (NETLINK)", StatOf(S_IFSOCK), FileKind::kNetlinkSocket, "socket", nullptr},
    {"socket:[17] (PACKET)", StatOf(S_IFSOCK), FileKind::kPacketSocket, "socket", nullptr},
    {"socket:[17] (MPTCP)", StatOf(S_IFSOCK), FileKind::kOther, "socket", "sockets"},
    {"socket:[17] (UNIX)", StatOf(S_IFSOCK), FileKind::kUnixSocket, "socket", nullptr},
    {"socket:[17] (UNIX-STREAM)", StatOf(S_IFSOCK), FileKind::kUnixSocket, "socket", nullptr},
    {"anon_inode:[eventfd]", StatOf(0600), FileKind::kEventfd, "eventfd", nullptr},
    {"anon_inode:[eventpoll]", StatOf(0600), FileKind::kEpoll, "epoll", nullptr},
    {"anon_inode:[timerfd]", StatOf(0600), FileKind::kTimerfd, "timerfd", nullptr},
    {"anon_inode:[signalfd]", StatOf(0600), FileKind::kSignalfd, "signalfd", nullptr},
    {"anon_inode:inotify", StatOf(0600), FileKind::kOther, "inotify", "watches"},
    {"anon_inode:[pidfd]", StatOf(0600), FileKind::kOther, "pidfd", "process descriptors"},
    {"anon_inode:[io_uring]", StatOf(0600), FileKind::kOther, "io_uring", "io_uring"},
    {"anon_inode:bpf-map", StatOf(0600), FileKind::kOther, "BPF object", "BPF"},
    {"anon_inode:[something-new]", StatOf(0600), FileKind::kOther, "anonymous inode",
     "kernel object"},
    {"/memfd:buffer (deleted)", StatOf(S_IFREG, 0, 0), FileKind::kMemfd, "memfd", nullptr},
    {"net:[4026531840]", StatOf(S_IFREG), FileKind::kOther, "namespace", "namespace"},
    {"/tmp/gone (deleted)", StatOf(S_IFREG, 0, 0), FileKind::kRegular, "regular file", "deleted"},
    {"/tmp/fifo (deleted)", StatOf(S_IFIFO, 0, 0), FileKind::kFifo, "fifo", "deleted"},
};

TEST(FileRefusalTest, KnowsEveryKindByName) {
  for (const Row& row : kRows) {
    SCOPED_TRACE(row.link);
    EXPECT_EQ(FileKindOf(row.stat, row.link), row.kind);
    EXPECT_EQ(FileTypeName(row.stat, row.link), row.type);
    const auto why_not = WhyNotDumpable(row.stat, row.link, FdInfo{});
    EXPECT_EQ(why_not.has_value(), row.why != nullptr);
    if (!why_not || row.why == nullptr) continue;
    EXPECT_THAT(std::string(why_not->why), HasSubstr(row.why));
    EXPECT_FALSE(why_not->remedy.empty());
  }
}

TEST(FileRefusalTest, RefusesWhatTheDescriptorAdds) {
  const struct stat file = StatOf(S_IFREG);
  FdInfo path_only;
  path_only.flags = O_PATH;
  ASSERT_TRUE(WhyNotDumpable(file, "/etc/passwd", path_only).has_value());
  FdInfo locked;
  locked.locks = {"1: FLOCK  ADVISORY  WRITE 359 fe:00:4711 0 EOF"};
  const auto why_not = WhyNotDumpable(file, "/etc/passwd", locked);
  ASSERT_TRUE(why_not.has_value());
  EXPECT_THAT(std::string(why_not->why), HasSubstr("locks"));
}

// Files with real inodes, to see where paths lead.
class ReachableTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/file_refusal_test.XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    dir_ = name;
    std::ofstream(dir_ + "/file") << "text";
    ASSERT_EQ(stat((dir_ + "/file").c_str(), &stat_), 0);
  }
  void TearDown() override {
    for (const char* name : {"/file", "/moved"}) unlink((dir_ + name).c_str());
    rmdir(dir_.c_str());
  }
  std::string dir_;
  struct stat stat_ = {};
};

TEST_F(ReachableTest, AFileUnderItsOwnName) {
  EXPECT_FALSE(WhyNotReachable(stat_, dir_ + "/file").has_value());
}

TEST_F(ReachableTest, AFileThatWasMoved) {
  ASSERT_EQ(rename((dir_ + "/file").c_str(), (dir_ + "/moved").c_str()), 0);
  EXPECT_TRUE(WhyNotReachable(stat_, dir_ + "/file").has_value());
}

TEST_F(ReachableTest, AnotherFileUnderTheSameName) {
  ASSERT_EQ(rename((dir_ + "/file").c_str(), (dir_ + "/moved").c_str()), 0);
  std::ofstream(dir_ + "/file") << "other";
  EXPECT_TRUE(WhyNotReachable(stat_, dir_ + "/file").has_value());
}

TEST_F(ReachableTest, ALinkThatLeadsThereIsNotTheFile) {
  ASSERT_EQ(rename((dir_ + "/file").c_str(), (dir_ + "/moved").c_str()), 0);
  ASSERT_EQ(symlink("moved", (dir_ + "/file").c_str()), 0);
  EXPECT_TRUE(WhyNotReachable(stat_, dir_ + "/file").has_value());
}

}  // namespace
}  // namespace dumpctl
