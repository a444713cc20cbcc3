#include "proc/bpf_open_files.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/time/time.h"
#include "dumpctl/unique_fd.h"
#include "gtest/gtest.h"
#include "proc/event_fdinfo_parser.h"
#include "proc/fdinfo_parser.h"
#include "proc/kernel_features.h"
#include "proc/proc_fs.h"
#include "test/proc/below_head.h"

namespace dumpctl {
namespace {

class BpfOpenFilesTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!KernelFeatures::Probe()->Has(KernelFeature::kBpfTaskFile)) GTEST_SKIP() << "no BPF";
    auto loaded = BpfOpenFiles::Load();
    // Before Linux 6.12.
    if (absl::IsNotFound(loaded.status())) GTEST_SKIP() << loaded.status();
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    files_.emplace(*std::move(loaded));
  }

  int Keep(int fd) {
    EXPECT_GE(fd, 0);
    kept_.emplace_back(fd);
    return fd;
  }

  std::vector<OpenFileRow> Read() {
    auto rows = files_->Read(getpid());
    EXPECT_TRUE(rows.ok()) << rows.status();
    return *std::move(rows);
  }

  // The rows of what Keep has. Others may write to what was open before: who runs tests leaves them
  // its log, whose position moves.
  std::vector<OpenFileRow> ReadKept() {
    std::vector<OpenFileRow> rows = Read();
    const auto is_other = [this](const OpenFileRow& row) {
      return absl::c_none_of(kept_, [&](const UniqueFd& fd) { return fd.get() == row.number; });
    };
    rows.erase(std::remove_if(rows.begin(), rows.end(), is_other), rows.end());
    return rows;
  }

  OpenFileRow RowOf(int fd) {
    for (const OpenFileRow& row : Read()) {
      if (row.number == fd) return row;
    }
    ADD_FAILURE() << "no descriptor " << fd;
    return {};
  }

 private:
  std::optional<BpfOpenFiles> files_;
  std::vector<UniqueFd> kept_;
};

TEST_F(BpfOpenFilesTest, SaysWhatProcfsSays) {
  const int file = Keep(memfd_create("positioned", MFD_CLOEXEC));
  ASSERT_EQ(lseek(file, (off_t{1} << 40) + 4711, SEEK_SET), (off_t{1} << 40) + 4711);
  Keep(open("/proc/self/exe", O_RDONLY | O_NOATIME));
  Keep(open("/dev/null", O_RDWR | O_APPEND | O_CLOEXEC));
  Keep(open("/", O_RDONLY | O_DIRECTORY));
  Keep(open("/tmp", O_PATH | O_CLOEXEC));
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_NONBLOCK | O_DIRECT), 0);
  Keep(ends[0]);
  Keep(ends[1]);
  // Bits of more than one word.
  Keep(fcntl(file, F_DUPFD, 300));
  Keep(fcntl(file, F_DUPFD_CLOEXEC, 330));
  Keep(eventfd(4711, 0));
  Keep(eventfd(1, EFD_SEMAPHORE | EFD_CLOEXEC));
  Keep(timerfd_create(CLOCK_MONOTONIC, 0));
  const auto self = ProcDir::OpenTask(getpid());
  ASSERT_TRUE(self.ok());
  const std::vector<OpenFileRow> rows = ReadKept();
  EXPECT_EQ(rows.size(), 12u);
  size_t compared = 0;
  for (const OpenFileRow& row : rows) {
    // As of eventfds and timerfds while anybody has a lock on a kernel object (see below).
    if (!row.info) continue;
    const auto text = self->ReadWhole("fdinfo/" + std::to_string(row.number));
    ASSERT_TRUE(text.ok()) << text.status();
    const auto info = ParseFdInfo(*text);
    ASSERT_TRUE(info.ok()) << info.status();
    EXPECT_EQ(row.info, *info) << row.number;
    EXPECT_EQ(row.more, BelowHead(*text)) << row.number;
    ++compared;
  }
  EXPECT_GE(compared, 9u);
}

TEST_F(BpfOpenFilesTest, SaysWhatLinksSay) {
  char directory[] = "/tmp/bpf_open_files_XXXXXX";
  ASSERT_NE(mkdtemp(directory), nullptr);
  const std::string odd = std::string(directory) + "/with \n newline";
  Keep(open(odd.c_str(), O_CREAT | O_RDWR, 0600));
  ASSERT_EQ(unlink(odd.c_str()), 0);
  ASSERT_EQ(rmdir(directory), 0);
  Keep(open("/dev/null", O_RDWR));
  Keep(open("/proc/self/ns/net", O_RDONLY));
  Keep(memfd_create("named", 0));
  Keep(eventfd(0, 0));
  Keep(epoll_create1(0));
  Keep(timerfd_create(CLOCK_BOOTTIME, 0));
  Keep(inotify_init1(0));
  Keep(socket(AF_UNIX, SOCK_DGRAM, 0));
  Keep(socket(AF_INET6, SOCK_STREAM, 0));
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  Keep(ends[0]);
  Keep(ends[1]);
  const std::vector<OpenFileRow> rows = ReadKept();
  EXPECT_EQ(rows.size(), 12u);
  for (const OpenFileRow& row : rows) {
    const std::string name = "/proc/self/fd/" + std::to_string(row.number);
    char link[PATH_MAX] = {};
    ASSERT_GT(readlink(name.c_str(), link, sizeof link - 1), 0) << row.number;
    std::string expected = link;
    char protocol[64] = {};
    if (getxattr(name.c_str(), "system.sockprotoname", protocol, sizeof protocol) > 0) {
      expected += std::string(" (") + protocol + ")";
    }
    EXPECT_EQ(row.link, expected) << row.number;
  }
}

TEST_F(BpfOpenFilesTest, LeavesOutLinksThatAreTooLong) {
  const std::string name = "/tmp/" + std::string(240, 'x');
  const int file = Keep(open(name.c_str(), O_CREAT | O_RDWR, 0600));
  ASSERT_EQ(unlink(name.c_str()), 0);
  EXPECT_FALSE(RowOf(file).link);
}

TEST_F(BpfOpenFilesTest, SaysWhatStatSaysOfWhatHasNoPath) {
  const int event = Keep(eventfd(0, 0));
  const int unix_socket = Keep(socket(AF_UNIX, SOCK_DGRAM, 0));
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  Keep(ends[0]);
  Keep(ends[1]);
  for (const int fd : {event, unix_socket, ends[0], ends[1]}) {
    const OpenFileRow row = RowOf(fd);
    ASSERT_TRUE(row.stat) << fd;
    struct stat stat = {};
    ASSERT_EQ(fstat(fd, &stat), 0);
    EXPECT_EQ(row.stat->st_dev, stat.st_dev) << fd;
    EXPECT_EQ(row.stat->st_ino, stat.st_ino) << fd;
    EXPECT_EQ(row.stat->st_mode, stat.st_mode) << fd;
    EXPECT_EQ(row.stat->st_nlink, stat.st_nlink) << fd;
    EXPECT_EQ(row.stat->st_uid, stat.st_uid) << fd;
    EXPECT_EQ(row.stat->st_gid, stat.st_gid) << fd;
    EXPECT_EQ(row.stat->st_size, stat.st_size) << fd;
    EXPECT_EQ(row.stat->st_blksize, stat.st_blksize) << fd;
  }
  EXPECT_FALSE(RowOf(Keep(open("/dev/null", O_RDONLY))).stat);
}

TEST_F(BpfOpenFilesTest, SaysWhatIsLeftOfTimers) {
  constexpr int kKinds[] = {0, TFD_TIMER_ABSTIME, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET};
  for (const int flags : kKinds) {
    for (const int clock : {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME}) {
      if ((flags & TFD_TIMER_CANCEL_ON_SET) != 0 && clock != CLOCK_REALTIME) continue;
      const int timer = Keep(timerfd_create(clock, 0));
      itimerspec set = {};
      if (flags != 0) clock_gettime(clock, &set.it_value);
      set.it_value.tv_sec += 1000;
      set.it_interval.tv_nsec = 4711;
      ASSERT_EQ(timerfd_settime(timer, flags, &set, nullptr), 0);
      const OpenFileRow row = RowOf(timer);
      itimerspec after = {};
      ASSERT_EQ(timerfd_gettime(timer, &after), 0);
      ASSERT_TRUE(row.info) << clock << ", " << flags;
      const auto info = ParseTimerfdInfo(row.more);
      ASSERT_TRUE(info.ok()) << info.status();
      EXPECT_EQ(info->clock_id, clock);
      EXPECT_EQ(info->ticks, 0u);
      EXPECT_EQ(info->settime_flags, static_cast<uint32_t>(flags));
      EXPECT_EQ(info->interval, absl::Nanoseconds(4711));
      // It had at least as much left as it has now.
      EXPECT_LE(info->value, absl::Seconds(1000));
      EXPECT_GE(info->value, absl::DurationFromTimespec(after.it_value));
    }
  }
}

TEST_F(BpfOpenFilesTest, LeavesToProcfsWhatHasExpired) {
  const int timer = Keep(timerfd_create(CLOCK_MONOTONIC, 0));
  itimerspec set = {};
  set.it_value.tv_nsec = 1;
  ASSERT_EQ(timerfd_settime(timer, 0, &set, nullptr), 0);
  pollfd waits = {.fd = timer, .events = POLLIN};
  ASSERT_EQ(poll(&waits, 1, -1), 1);
  EXPECT_FALSE(RowOf(timer).info);
}

TEST_F(BpfOpenFilesTest, TellsDescriptorsOfOneOpenFile) {
  const int file = Keep(open("/dev/null", O_RDONLY));
  const int same = Keep(dup(file));
  const int alike = Keep(open("/dev/null", O_RDONLY));
  EXPECT_EQ(RowOf(file).open_file, RowOf(same).open_file);
  EXPECT_NE(RowOf(file).open_file, RowOf(alike).open_file);
}

TEST_F(BpfOpenFilesTest, LeavesToProcfsWhatItAloneSays) {
  const int watches = Keep(epoll_create1(0));
  const int file = Keep(memfd_create("locked", 0));
  EXPECT_FALSE(RowOf(watches).info);
  EXPECT_TRUE(RowOf(file).info);
  ASSERT_EQ(flock(file, LOCK_EX), 0);
  EXPECT_FALSE(RowOf(file).info);
  ASSERT_EQ(flock(file, LOCK_UN), 0);
  EXPECT_TRUE(RowOf(file).info) << "there were locks, and are none";
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
  ASSERT_EQ(fcntl(file, F_SETLK, &lock), 0);
  EXPECT_FALSE(RowOf(file).info);
  lock.l_type = F_UNLCK;
  ASSERT_EQ(fcntl(file, F_SETLK, &lock), 0);
  const int leased = Keep(open("/proc/self/exe", O_RDONLY));
  if (fcntl(leased, F_SETLEASE, F_RDLCK) == 0) {
    EXPECT_FALSE(RowOf(leased).info);
    EXPECT_EQ(fcntl(leased, F_SETLEASE, F_UNLCK), 0);
  }
}

// Of all kernel objects the kernel has one inode, which keeps lists of locks from the first one on.
TEST_F(BpfOpenFilesTest, ALockThatAnObjectHadIsNoneOfAnother) {
  const int locked = Keep(eventfd(0, 0));
  ASSERT_EQ(flock(locked, LOCK_SH), 0);
  ASSERT_EQ(flock(locked, LOCK_UN), 0);
  EXPECT_TRUE(RowOf(Keep(eventfd(0, 0))).info);
}

TEST_F(BpfOpenFilesTest, SaysWhereSignalsMayBeSent) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  Keep(ends[0]);
  Keep(ends[1]);
  EXPECT_FALSE(RowOf(ends[0]).may_be_owned);
  ASSERT_EQ(fcntl(ends[0], F_SETOWN, getpid()), 0);
  EXPECT_TRUE(RowOf(ends[0]).may_be_owned);
  ASSERT_EQ(fcntl(ends[1], F_SETSIG, SIGUSR1), 0);
  EXPECT_TRUE(RowOf(ends[1]).may_be_owned);
}

TEST_F(BpfOpenFilesTest, GivesMoreThanThePieceThatTheKernelGivesAtOnce) {
  constexpr int kMany = 900;
  const int file = Keep(open("/dev/zero", O_RDONLY));
  for (int i = 0; i < kMany; ++i) Keep(dup(file));
  const uint64_t one = RowOf(file).open_file;
  const std::vector<OpenFileRow> rows = Read();
  const auto is_that = [one](const OpenFileRow& row) { return row.open_file == one; };
  EXPECT_EQ(std::count_if(rows.begin(), rows.end(), is_that), kMany + 1);
}

TEST_F(BpfOpenFilesTest, SaysWhichPipesAreEmpty) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  Keep(ends[0]);
  Keep(ends[1]);
  ASSERT_EQ(fcntl(ends[0], F_SETPIPE_SZ, 8192), 8192);
  EXPECT_EQ(RowOf(ends[0]).empty_pipe, 8192U);
  EXPECT_EQ(RowOf(ends[1]).empty_pipe, 8192U);
  ASSERT_EQ(write(ends[1], "x", 1), 1);
  EXPECT_FALSE(RowOf(ends[0]).empty_pipe);
  char byte;
  ASSERT_EQ(read(ends[0], &byte, 1), 1);
  EXPECT_EQ(RowOf(ends[0]).empty_pipe, 8192U);
  EXPECT_FALSE(RowOf(Keep(eventfd(0, 0))).empty_pipe);
}

TEST_F(BpfOpenFilesTest, ARecordLastsAsLongAsNothingChanges) {
  const int file = Keep(open("/tmp", O_TMPFILE | O_RDWR, 0600));
  const int event = Keep(eventfd(0, 0));
  const int timer = Keep(timerfd_create(CLOCK_MONOTONIC, 0));
  for (const int fd : {file, event, timer}) {
    const OpenFileRow row = RowOf(fd);
    EXPECT_TRUE(row.says_all) << fd;
    EXPECT_NE(row.record, "") << fd;
    EXPECT_EQ(RowOf(fd).record, row.record) << fd;
  }
  const std::string before = RowOf(file).record;
  ASSERT_EQ(write(file, "x", 1), 1);
  EXPECT_NE(RowOf(file).record, before);
  const itimerspec hour = {{}, {3600, 0}};
  ASSERT_EQ(timerfd_settime(timer, 0, &hour, nullptr), 0);
  EXPECT_FALSE(RowOf(timer).says_all);
  ASSERT_EQ(fcntl(event, F_SETOWN, getpid()), 0);
  EXPECT_FALSE(RowOf(event).says_all);
  EXPECT_EQ(RowOf(event).record, "");
}

TEST_F(BpfOpenFilesTest, SaysWhatIsKeptOfFiles) {
  const int file = Keep(open("/tmp", O_TMPFILE | O_RDWR, 0640));
  ASSERT_EQ(write(file, "some", 4), 4);
  ASSERT_EQ(fsync(file), 0);
  struct stat stat = {};
  ASSERT_EQ(fstat(file, &stat), 0);
  const struct stat kept = RowOf(file).kept;
  EXPECT_EQ(kept.st_ino, stat.st_ino);
  EXPECT_EQ(kept.st_mode, stat.st_mode);
  EXPECT_EQ(kept.st_size, stat.st_size);
  EXPECT_EQ(kept.st_nlink, stat.st_nlink);
  EXPECT_EQ(kept.st_blocks, stat.st_blocks);
}

TEST_F(BpfOpenFilesTest, NobodyHasNoDescriptors) {
  auto loaded = BpfOpenFiles::Load();
  ASSERT_TRUE(loaded.ok());
  const auto rows = loaded->Read(0x3fffff);
  EXPECT_TRUE(!rows.ok() || rows->empty());
}

}  // namespace
}  // namespace dumpctl
