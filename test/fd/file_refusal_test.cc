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
    {"/dev/pts/3", StatOf(S_IFCHR, makedev(136, 3)), FileKind::kTerminal, "terminal", nullptr},
    {"/dev/pts/3 (deleted)", StatOf(S_IFCHR, makedev(136, 3), 0), FileKind::kTerminal, "terminal",
     nullptr},
    {"/dev/tty", StatOf(S_IFCHR, makedev(5, 0)), FileKind::kTerminal, "terminal", nullptr},
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
    {"anon_inode:inotify", StatOf(0600), FileKind::kInotify, "inotify", nullptr},
    {"anon_inode:[pidfd]", StatOf(0600), FileKind::kPidfd, "pidfd", nullptr},
    {"anon_inode:[fanotify]", StatOf(0600), FileKind::kFanotify, "fanotify", nullptr},
    {"anon_inode:[io_uring]", StatOf(0600), FileKind::kOther, "io_uring", "io_uring"},
    {"anon_inode:bpf-map", StatOf(0600), FileKind::kOther, "BPF object", "BPF"},
    {"anon_inode:[something-new]", StatOf(0600), FileKind::kOther, "anonymous inode",
     "kernel object"},
    {"/memfd:buffer (deleted)", StatOf(S_IFREG, 0, 0), FileKind::kMemfd, "memfd", nullptr},
    {"net:[4026531840]", StatOf(S_IFREG), FileKind::kNamespace, "namespace", nullptr},
    {"/tmp/gone (deleted)", StatOf(S_IFREG, 0, 0), FileKind::kRegular, "regular file", nullptr},
    {"/tmp/fifo (deleted)", StatOf(S_IFIFO, 0, 0), FileKind::kFifo, "fifo", nullptr},
};

TEST(FileRefusalTest, KnowsEveryKindByName) {
  for (const Row& row : kRows) {
    SCOPED_TRACE(row.link);
    EXPECT_EQ(FileKindOf(row.stat, row.link, 0), row.kind);
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
  EXPECT_EQ(FileKindOf(file, "/etc/passwd", O_PATH), FileKind::kPath);
  EXPECT_FALSE(WhyNotDumpable(file, "/etc/passwd", path_only).has_value());
  EXPECT_TRUE(WhyNotDumpable(StatOf(S_IFREG, 0, 0), "/memfd:x (deleted)", path_only).has_value());
  EXPECT_TRUE(WhyNotDumpable(StatOf(S_IFIFO), "pipe:[17]", path_only).has_value());
  EXPECT_EQ(FileKindOf(StatOf(S_IFIFO), "/run/initctl", O_PATH), FileKind::kPath);
}

}  // namespace
}  // namespace dumpctl
